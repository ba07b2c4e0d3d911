package stubs

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/flujo/flujo-harness/core"
)

// defaultRing is the default number of calls that a transcript keeps.
const defaultRing = 256

// Call is a call of a scripted agent in the transcript.
type Call struct {
	Seq     uint64 // number in the book, from 1
	Arm     string
	Run     core.RunKey
	Path    string
	Attempt int
	At      time.Duration // time since the creation of the book; only after RecordInputs
	Input   []byte        // as JSON; only after RecordInputs
}

func (c Call) String() string {
	text := fmt.Sprintf("call %d: %s of run %q in arm %q, attempt %d", c.Seq, c.Path, c.Run.String(), c.Arm, c.Attempt)
	if c.Input != nil {
		text += ", input " + shorten(string(c.Input), 80)
	}
	return text
}

// entry is a stored Call. Nothing in it is copied before [Book.Calls] requires it.
type entry struct {
	arm     *arm
	run     core.RunKey
	path    string
	attempt int
	at      time.Duration
	input   []byte
}

// ring keeps the last calls in preallocated memory.
type ring struct {
	mu    sync.Mutex
	calls []entry
	place int    // index of the next call
	count uint64 // number of calls so far
	full  bool   // also keeps inputs and times
	born  time.Time
}

// Transcript sets the number of calls that the transcript keeps, by default 256; 0 disables it. It
// must be called before the first run.
func (b *Book) Transcript(n int) *Book {
	b.ring.calls = make([]entry, max(n, 0))
	b.ring.full = b.ring.full && n > 0
	return b
}

// RecordInputs makes the transcript also keep the inputs, as JSON, and the times of calls. It is off
// by default, because reading the clock costs more than a scripted call. It must be called before
// the first run and after Transcript.
func (b *Book) RecordInputs() *Book {
	b.ring.full = true // without effect if the transcript is off
	return b
}

// next returns the entry for another call. The caller holds mu.
func (r *ring) next() *entry {
	e := &r.calls[r.place]
	if r.place++; r.place == len(r.calls) {
		r.place = 0
	}
	r.count++
	return e
}

// Calls returns the last n calls of the transcript, oldest first.
func (b *Book) Calls(n int) []Call {
	r := &b.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	size := len(r.calls)
	kept := min(n, size)
	if r.count < uint64(size) {
		kept = min(kept, int(r.count))
	}
	var calls []Call
	for back := kept; back > 0; back-- {
		e := r.calls[(r.place-back+size)%size]
		calls = append(calls, Call{Seq: r.count - uint64(back) + 1, Arm: e.arm.load.Arm, Run: e.run, Path: e.path, Attempt: e.attempt,
			At: e.at, Input: e.input})
	}
	return calls
}

// copied returns a deep copy of an input as JSON.
func copied[In any](in In) []byte {
	text, err := json.Marshal(in)
	if err != nil {
		return []byte("cannot be shown: " + err.Error())
	}
	return text
}
