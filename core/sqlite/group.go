package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	lib "modernc.org/sqlite/lib"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// maxBatch is the maximum number of saves of a transaction.
const maxBatch = 256

// mostBroken is the maximum number of failures that are remembered for the steps after them.
const mostBroken = 1000

// brokenStep says why a step was not saved.
type brokenStep struct {
	seq int64
	err error
}

// save is one write that waits for its turn.
type save struct {
	job     job
	counter *atomic.Int64 // incremented when the save is committed
	err     error
	turn    chan bool  // receives true to lead the next batch, false when err is set; nil: the save leads from the start
	single  bool       // the job is one statement, which needs no BEGIN and COMMIT
	lease   core.Lease // lease of a step; zero for other saves
	seq     int64      // sequence number of a step
}

// job executes the statements of a save on the writer, within its transaction.
type job interface{ do() error }

// statement is a job that is a function.
type statement func() error

func (f statement) do() error { return f() }

// write commits a save that is a function. single means that it executes one statement.
func (b *Backend) write(ctx context.Context, counter *atomic.Int64, single bool, do func() error) error {
	return b.submit(ctx, &save{job: statement(do), counter: counter, single: single})
}

// submit commits one save. Concurrent saves are combined: while one transaction is being
// written to the disk, the next ones queue up, and the first of them then commits all that
// wait in one transaction. A separate goroutine for this would add two switches to every
// save.
func (b *Backend) submit(ctx context.Context, s *save) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("save to %s: %w", b.path, err)
	}
	b.enqueue(s)
	return b.wait(ctx, s)
}

// enqueue gives a save its place in the order of commits. The caller must wait for it: it
// may have to lead.
func (b *Backend) enqueue(s *save) {
	b.mu.Lock()
	if b.led {
		s.turn = make(chan bool, 1)
		b.queue = append(b.queue, s)
	}
	b.led = true
	b.mu.Unlock()
}

// wait returns when an enqueued save is committed or has failed.
func (b *Backend) wait(ctx context.Context, s *save) error {
	lead := s.turn == nil
	if !lead {
		select {
		case lead = <-s.turn:
		case <-ctx.Done():
			if b.withdraw(s) {
				return fmt.Errorf("wait for the writer of %s: %w", b.path, context.Cause(ctx))
			}
			lead = <-s.turn // too late: it is being committed, or it leads
		}
	}
	if lead {
		b.lead(s)
	}
	if s.err != nil {
		return b.trouble(s.err)
	}
	return nil
}

// withdraw removes a save from the queue, unless it is being committed or leads.
func (b *Backend) withdraw(s *save) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.queue, s)
	if i < 0 {
		return false
	}
	b.queue = slices.Delete(b.queue, i, i+1)
	return true
}

// lead commits its own save and what is queued, and lets the next save in the queue lead.
func (b *Backend) lead(own *save) {
	reserveStack(false)
	company := b.gather()
	b.mu.Lock()
	n := min(len(b.queue), b.maxBatch-1)
	b.batch = append(append(b.batch, own), b.queue[:n]...)
	b.queue = slices.Delete(b.queue, 0, n)
	b.mu.Unlock()

	var began time.Time
	if company {
		began = time.Now()
	}
	b.writing.Lock()
	b.commit(b.batch)
	if company {
		b.lasted = time.Since(began)
	}
	for _, s := range b.batch[1:] {
		s.turn <- false
	}
	b.tidy()
	b.writing.Unlock()

	b.mu.Lock()
	// At least half as before: otherwise one batch that was cut short by a busy machine would
	// make the next one small too, and every second one after it.
	b.company = max(min(len(b.batch)+len(b.queue), b.maxBatch), b.company/2)
	clear(b.batch)
	b.batch = b.batch[:0]
	if b.led = len(b.queue) > 0; b.led {
		b.queue[0].turn <- true
		b.queue = slices.Delete(b.queue, 0, 1)
	}
	b.mu.Unlock()
}

// stackNeeded is a size of stack in bytes with which SQLite commits a save; half of it was enough for
// steps of up to 40 KB.
const stackNeeded = 8 << 10

// reserveStack makes the stack of this goroutine large enough for a commit, because its own frame
// is that large. The stack of a new goroutine, such as one of a branch, has 2 to 8 KB. Otherwise it
// would be moved several times in the middle of a commit, and each move adjusts all frames of SQLite.
//
//go:noinline
func reserveStack(use bool) {
	if use { // never, because it takes time to clear the array
		var room [stackNeeded]byte
		runtime.KeepAlive(&room)
	}
}

// gather waits for other saves before a batch is taken, and reports whether the last
// transaction had any. The runs of the last batch have just been woken and may make their
// next saves within microseconds. Without them, each transaction would commit half of the
// runs, and each half would wait for the transaction of the other.
//
// It waits only while the queue grows, up to the number of saves of the last transaction.
// It stops when no save came for an eighth of the time that the last transaction took, and
// at the latest after all of that time. So runs with slow agents lose that eighth, at most
// 0.2 ms. A run that is alone again waits before its next few saves, and then no more.
//
// It yields the processor instead of sleeping, because the wait takes some microseconds, and
// the shortest sleep takes tens. Yielding also lets the goroutines run that it waits for. For
// a map of 800 items, 8 at a time, on a busy machine with two processors, 802 saves took 105
// to 270 transactions at [Process] (n=48), and 802 without waiting.
func (b *Backend) gather() (company bool) {
	if b.company <= 1 {
		return false
	}
	patience := min(b.lasted/8, 200*time.Microsecond)
	began := time.Now()
	grew, n := began, 1
	// The number of rounds is limited too, for a clock that stands still while a goroutine
	// runs, as in testing/synctest.
	for range 4096 {
		b.mu.Lock()
		now := 1 + len(b.queue)
		b.mu.Unlock()
		t := time.Now()
		if now > n {
			n, grew = now, t
		}
		if n >= b.company || t.Sub(grew) >= patience || t.Sub(began) >= 8*patience {
			break
		}
		runtime.Gosched()
	}
	return true
}

// commit sets the error of every save of the batch. Like tidy, it needs the lock of the
// writer.
func (b *Backend) commit(batch []*save) {
	if b.closed.Load() {
		for _, s := range batch {
			s.err = core.ErrClosed
		}
		return
	}
	if len(batch) > 1 && b.together(batch) == nil {
		return
	}
	// One save, or a batch that failed: one by one, so that each succeeds or fails by itself.
	for _, s := range batch {
		if s.single {
			s.err = b.w.autocommit(s.job)
		} else {
			s.err = b.w.tx(s.job)
		}
		if s.err = b.follows(s, s.err); s.err == nil {
			b.committed(s)
		}
	}
}

// follows returns the reason why a step was not saved. If a step fails, those that were
// enqueued after it find no record before their own, as if the lease had ended: their error
// is that of the first.
func (b *Backend) follows(s *save, err error) error {
	first, broken := b.broken[s.lease]
	switch {
	case s.lease == core.Lease{} || err == nil && !broken:
	case err == nil:
		delete(b.broken, s.lease) // repeated with success
	case broken && s.seq > first.seq && errors.Is(err, core.ErrFenced):
		return first.err
	case !errors.Is(err, core.ErrFenced):
		if b.broken == nil || len(b.broken) >= mostBroken {
			b.broken = map[core.Lease]brokenStep{}
		}
		b.broken[s.lease] = brokenStep{s.seq, fmt.Errorf("step %d of the run was not saved: %w", s.seq, err)}
	}
	return err
}

// together commits the batch in one transaction. A save that is refused changes nothing and does not
// affect the others; any other error rolls all of them back.
func (b *Backend) together(batch []*save) error {
	err := b.w.tx(statement(func() error {
		for _, s := range batch {
			if s.err = b.follows(s, s.job.do()); s.err != nil && !refused(s.err) {
				return s.err
			}
		}
		return nil
	}))
	if err != nil {
		return err
	}
	var done []*save
	for _, s := range batch {
		if s.err == nil {
			done = append(done, s)
		}
	}
	if len(done) > 0 {
		b.committed(done...)
	}
	return nil
}

// committed counts one transaction and its saves.
func (b *Backend) committed(saves ...*save) {
	counts := false
	for _, s := range saves {
		s.counter.Add(1)
		counts = counts || s.counter != &b.heartbeats && s.counter != &b.deletions
	}
	if counts {
		b.commits.Add(1)
	}
}

// halfDone is the error of a save after one of its earlier statements has changed something.
type halfDone struct{ error }

func (e halfDone) Unwrap() error { return e.error }

// refused reports whether an error concerns only one statement, which SQLite has rolled back or which
// matched no row. After any other error the whole transaction must be rolled back.
func refused(err error) bool {
	return (errors.Is(err, core.ErrFenced) || sqlitedb.Code(err) == lib.SQLITE_CONSTRAINT_UNIQUE) && !errors.As(err, new(halfDone))
}
