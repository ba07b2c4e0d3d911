package postgres

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/flujo/flujo-harness/core"
)

// Checksums are CRC-32C. PostgreSQL checks its pages only in clusters that were created
// with data checksums, which are off by default up to version 17, and no cluster notices a
// row that another program has changed. They find every burst of up to 32 wrong bits and
// miss one other damage in 2^32; they are no protection against somebody who wants to
// deceive.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// digest is a CRC-32C that grows.
type digest struct {
	crc uint32
	buf [8]byte
}

func (d *digest) numbers(all ...int64) *digest {
	for _, n := range all {
		binary.LittleEndian.PutUint64(d.buf[:], uint64(n))
		d.crc = crc32.Update(d.crc, castagnoli, d.buf[:])
	}
	return d
}

// part adds bytes after their length, so that none can move from one part to the next. A
// nil slice differs from an empty one.
func (d *digest) part(p []byte) *digest {
	n := int64(len(p))
	if p == nil {
		n = -1
	}
	d.numbers(n)
	d.crc = crc32.Update(d.crc, castagnoli, p)
	return d
}

func (d *digest) texts(all ...string) *digest {
	for _, s := range all {
		d.part(text(s))
	}
	return d
}

func (d *digest) sum() int64 { return int64(d.crc) }

// text returns the bytes of a string, never nil: nil is NULL.
func text(s string) []byte { return append(make([]byte, 0, len(s)), s...) }

// keyOf names a run in the database.
func keyOf(k core.RunKey) []byte {
	h := sha256.New()
	h.Write(binary.AppendUvarint(nil, uint64(len(k.Tenant))))
	h.Write([]byte(k.Tenant))
	h.Write([]byte(k.Run))
	return h.Sum(nil)
}

// tokenKey names an answer of a run.
func tokenKey(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

// sumStep is the checksum of a record of a run. The first one, of seq 0, is saved by a
// statement that does not know the number of the run: there run is 0, and key the run's.
func sumStep(run int64, key []byte, epoch int64, r *core.StepRecord) int64 {
	var d digest
	if r.Seq == 0 {
		run = 0
		d.part(key)
	}
	return d.numbers(run, r.Seq, epoch, int64(r.Status), int64(r.Attempts), r.Started.UnixNano(), r.Ended.UnixNano(),
		r.Usage.Calls, r.Usage.Tokens, r.Usage.Cost, nanos(r.Due)).
		texts(r.Path, r.Token, r.For, r.Feedback, r.Error).part(r.Output).part(r.State).sum()
}

// sumAnswer is the checksum of an answer to a pause of the run of this key.
func sumAnswer(key []byte, a *core.AnswerRecord) int64 {
	return new(digest).part(key).numbers(a.Time.UnixNano()).texts(a.Token).part(a.Answer).sum()
}

// The checksum of a run is of two halves, so that each statement knows all that its half
// is over.

// sumStart is the high half: over what never changes of a run.
func sumStart(rec core.StartRecord) int64 {
	o := rec.Origin
	return new(digest).numbers(int64(rec.Plan), rec.Time.UnixNano(), o.Seq).
		texts(rec.Key.Tenant, rec.Key.Run, rec.Pipeline, o.Key.Tenant, o.Key.Run).sum() << 32
}

// current is what changes of a run.
type current struct {
	epoch             int64
	status            core.Status
	error             string
	ended, wake, seen int64
	exits             []byte
}

// sum is the low half of the checksum of a run.
func (c current) sum() int64 {
	return new(digest).numbers(c.epoch, int64(c.status), c.ended, c.wake, c.seen).texts(c.error).part(c.exits).sum()
}

func sumHolder(h core.Holder) int64 {
	return new(digest).numbers(nanos(h.Until)).texts(h.Executor).sum()
}

func sumText(s string) int64 { return new(digest).texts(s).sum() }

// nanos is a time as it is stored: 0 for the zero time.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func instant(n int64) time.Time { return time.Unix(0, n).UTC() }

// moment is the time of nanoseconds that [nanos] made.
func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return instant(n)
}
