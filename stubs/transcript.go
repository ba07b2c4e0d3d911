package stubs

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/flujo/flujo-harness/core"
)

// defaultRing is how many calls a book remembers unless it is told otherwise.
const defaultRing = 256

// Call is one call of a scripted agent, as the transcript has it.
type Call struct {
	Seq     uint64 // of the book, from 1
	Arm     string
	Run     core.RunKey
	Path    string
	Attempt int
	Hash    uint64        // of the input: equal inputs have equal ones, within a process
	At      time.Duration // since the book was made; only after RecordInputs
	Input   []byte        // as JSON; only after RecordInputs
}

func (c Call) String() string {
	text := fmt.Sprintf("call %d: %s of run %q in arm %q, attempt %d", c.Seq, c.Path, c.Run.String(), c.Arm, c.Attempt)
	if c.Input != nil {
		text += ", input " + shorten(string(c.Input), 80)
	}
	return text
}

// call is a Call as it is kept: nothing in it is copied.
type call struct {
	arm     *arm
	run     core.RunKey
	path    string
	attempt int
	input   uint64
	at      time.Duration
	text    []byte
}

// ring keeps the last calls in memory that is there before the first one.
type ring struct {
	mu    sync.Mutex
	calls []call
	next  uint64 // number of calls so far
	full  bool   // inputs and times are kept as well
	born  time.Time
}

// Transcript keeps the last n calls instead of the last 256; 0 turns it off. Call
// it before the first run.
func (b *Book) Transcript(n int) *Book {
	b.ring.calls, b.ring.born = make([]call, max(n, 0)), time.Now()
	return b
}

// RecordInputs keeps a copy of every input, as JSON, and the time beside the calls:
// reading the clock alone costs more than a scripted call. Call it before the
// first run.
func (b *Book) RecordInputs() *Book {
	b.ring.full = true
	return b
}

func (r *ring) on() bool { return len(r.calls) > 0 }

func (r *ring) add(c call) {
	r.mu.Lock()
	r.calls[r.next%uint64(len(r.calls))] = c
	r.next++
	r.mu.Unlock()
}

// Calls returns the last n calls that are kept, the oldest first.
func (b *Book) Calls(n int) []Call {
	r := &b.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := min(r.next, uint64(len(r.calls)), uint64(max(n, 0)))
	var calls []Call
	for seq := r.next - kept; seq < r.next; seq++ {
		c := r.calls[seq%uint64(len(r.calls))]
		calls = append(calls, Call{Seq: seq + 1, Arm: c.arm.load.Arm, Run: c.run, Path: c.path, Attempt: c.attempt,
			Hash: c.input, At: c.at, Input: c.text})
	}
	return calls
}

// copied is a deep copy of an input, as JSON.
func copied[In any](in In) []byte {
	text, err := json.Marshal(in)
	if err != nil {
		return []byte("cannot be shown: " + err.Error())
	}
	return text
}
