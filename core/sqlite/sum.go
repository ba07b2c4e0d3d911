package sqlite

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"github.com/flujo/flujo-harness/core"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum returns the CRC-32C of a step record and its key. SQLite has no checksums in its
// main file, and its integrity check does not notice a flipped bit in a payload. CRC-32C
// detects every burst of up to 32 wrong bits, and misses one in 2^32 of other damages. It
// does not protect against forgery. The record is assembled in buf, which is returned for
// reuse.
func sum(buf []byte, key int64, r *core.StepRecord) ([]byte, int64) {
	// Each part is preceded by its length, so that bytes cannot move between parts.
	number := func(buf []byte, n uint64) []byte { return binary.LittleEndian.AppendUint64(buf, n) }
	text := func(buf []byte, s string) []byte { return append(number(buf, uint64(len(s))), s...) }
	payload := func(buf, p []byte) []byte {
		if p == nil {
			return number(buf, math.MaxUint64)
		}
		return append(number(buf, uint64(len(p))), p...)
	}
	buf = number(buf[:0], uint64(key))
	buf = number(buf, uint64(r.Status))
	buf = number(buf, uint64(r.Attempts))
	buf = number(buf, uint64(r.Started.UnixNano()))
	buf = number(buf, uint64(r.Ended.UnixNano()))
	buf = text(buf, r.Path)
	buf = payload(buf, r.Output)
	buf = text(buf, r.Feedback)
	buf = text(buf, r.Error)
	buf = payload(buf, r.State)
	buf = number(buf, uint64(r.Usage.Calls))
	buf = number(buf, uint64(r.Usage.Tokens))
	buf = number(buf, uint64(r.Usage.Cost))
	if isPause(r) {
		buf = text(buf, r.Token)
		buf = text(buf, r.For)
		buf = number(buf, uint64(nanos(r.Due)))
	}
	return buf, int64(crc32.Checksum(buf, castagnoli))
}

// sumAnswer returns the CRC-32C of an answer and the number of its run.
func sumAnswer(run int64, a *core.AnswerRecord) int64 {
	b := binary.LittleEndian.AppendUint64(nil, uint64(run))
	b = binary.LittleEndian.AppendUint64(b, uint64(a.Time.UnixNano()))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(a.Token)))
	b = append(append(b, a.Token...), a.Answer...)
	return int64(crc32.Checksum(b, castagnoli))
}

// The checksum of a run has two halves, so that a statement which changes a run can compute
// the half that changes without reading the other columns.

// sumStart returns the high half: the CRC-32C of the columns of a run that never change.
func sumStart(buf []byte, rec *core.StartRecord) ([]byte, int64) {
	buf = binary.LittleEndian.AppendUint64(buf[:0], rec.Plan)
	buf = binary.LittleEndian.AppendUint64(buf, uint64(rec.Time.UnixNano()))
	parts := []string{rec.Key.Tenant, rec.Key.Run, rec.Pipeline}
	if o := rec.Origin; o != (core.Origin{}) {
		parts = append(parts, o.Key.Tenant, o.Key.Run)
		buf = binary.LittleEndian.AppendUint64(buf, uint64(o.Seq))
	}
	for _, part := range parts {
		buf = binary.LittleEndian.AppendUint64(buf, uint64(len(part)))
		buf = append(buf, part...)
	}
	return buf, int64(crc32.Checksum(buf, castagnoli)) << 32
}

// current has the columns of a run that change.
type current struct {
	epoch             int64
	status            core.Status
	error             string
	ended, wake, seen int64
	exits             []byte
}

// sumNow returns the low half: the CRC-32C of the columns of a run that change.
func sumNow(buf []byte, c current) ([]byte, int64) {
	buf = buf[:0]
	for _, n := range [...]int64{c.epoch, int64(c.status), c.ended, c.wake, c.seen, int64(len(c.error))} {
		buf = binary.LittleEndian.AppendUint64(buf, uint64(n))
	}
	buf = append(buf, c.error...)
	if c.exits != nil { // empty and NULL differ
		buf = append(append(buf, 1), c.exits...)
	}
	return buf, int64(crc32.Checksum(buf, castagnoli))
}

// sumHolder returns the CRC-32C of the holder of a run.
func sumHolder(buf []byte, h core.Holder) ([]byte, int64) {
	buf = binary.LittleEndian.AppendUint64(buf[:0], uint64(nanos(h.Until)))
	buf = append(buf, h.Executor...)
	return buf, int64(crc32.Checksum(buf, castagnoli))
}

// sumText returns the CRC-32C of the text of a plan.
func sumText(text string) int64 { return int64(crc32.Checksum([]byte(text), castagnoli)) }
