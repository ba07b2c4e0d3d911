package postgres

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/flujo/flujo-harness/core"
)

// Checksums are CRC-32C. PostgreSQL verifies its pages only in clusters with data checksums, which
// are off by default up to version 17, and no cluster notices a row that another program changed.
// CRC-32C detects every burst of up to 32 wrong bits, and misses one in 2^32 of other damages. It
// does not protect against forgery.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// digest computes a CRC-32C step by step.
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

// part adds the length of the bytes and then the bytes, so that none can move from one part to the
// next. A nil slice differs from an empty one.
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

// text returns the bytes of a string. It never returns nil, which would be NULL.
func text(s string) []byte { return append(make([]byte, 0, len(s)), s...) }

// keyOf returns the key of a run in the database.
func keyOf(k core.RunKey) []byte {
	h := sha256.New()
	h.Write(binary.AppendUvarint(nil, uint64(len(k.Tenant))))
	h.Write([]byte(k.Tenant))
	h.Write([]byte(k.Run))
	return h.Sum(nil)
}

// tokenKey returns the key of an answer of a run.
func tokenKey(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

// sumStep returns the checksum of a record of a run. The statement that saves the first record (seq 0)
// does not know the number of the run: for it, run is 0 and key is the key of the run.
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

// sumAnswer returns the checksum of an answer to a pause of the run with this key.
func sumAnswer(key []byte, a *core.AnswerRecord) int64 {
	return new(digest).part(key).numbers(a.Time.UnixNano()).texts(a.Token).part(a.Answer).sum()
}

// The checksum of a run has two halves, so that a statement which changes a run can compute the
// half that changes without reading the other columns.

// sumStart returns the high half, over the columns that never change.
func sumStart(rec core.StartRecord) int64 {
	o := rec.Origin
	return new(digest).numbers(int64(rec.Plan), rec.Time.UnixNano(), o.Seq).
		texts(rec.Key.Tenant, rec.Key.Run, rec.Pipeline, o.Key.Tenant, o.Key.Run).sum() << 32
}

// current has the columns of a run that change.
type current struct {
	epoch             int64
	status            core.Status
	error             string
	ended, wake, seen int64
	exits             []byte
}

// sum returns the low half, over the columns that change.
func (c current) sum() int64 {
	return new(digest).numbers(c.epoch, int64(c.status), c.ended, c.wake, c.seen).texts(c.error).part(c.exits).sum()
}

func sumHolder(h core.Holder) int64 {
	return new(digest).numbers(nanos(h.Until)).texts(h.Executor).sum()
}

func sumText(s string) int64 { return new(digest).texts(s).sum() }

// nanos returns the stored form of a time: 0 for the zero time.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func instant(n int64) time.Time { return time.Unix(0, n).UTC() }

// moment is the inverse of [nanos].
func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return instant(n)
}
