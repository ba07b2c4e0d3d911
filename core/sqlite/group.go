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

// maxBatch is the most saves that one transaction takes.
const maxBatch = 256

// mostBroken is how many failures are remembered for the steps that follow them.
const mostBroken = 1000

// brokenStep is why a step was not saved.
type brokenStep struct {
	seq int64
	err error
}

// save is one write that waits for its turn.
type save struct {
	job     job
	counter *atomic.Int64 // counts it once it is committed
	err     error
	turn    chan bool  // true: lead the next batch; false: done, see err; nil: leads from the start
	chosen  bool       // to lead; needs the queue's lock
	single  bool       // of one statement, which is a transaction by itself
	lease   core.Lease // of the run whose step it is; zero for other saves
	seq     int64      // of the step
}

// job is what a save does within its transaction: statements on the writer.
type job interface{ do() error }

// statement is a job that is a function.
type statement func() error

func (f statement) do() error { return f() }

// write commits one save. Saves of runs at once are combined: while one
// transaction is on its way to the disk the next ones queue up, and the first of
// them then commits all that wait in one transaction of its own. A goroutine that
// did nothing else would add two switches to every save. single says that do executes one
// statement.
func (b *Backend) write(ctx context.Context, counter *atomic.Int64, single bool, do func() error) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("save to %s: %w", b.path, err)
	}
	s := &save{job: statement(do), counter: counter, single: single}
	b.enqueue(s)
	return b.wait(ctx, s)
}

// enqueue gives a save its place in the order of commits. Whoever enqueues must wait:
// the save may have been chosen to commit those of others.
func (b *Backend) enqueue(s *save) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.chosen = !b.led; !s.chosen {
		s.turn = make(chan bool, 1)
	}
	b.led = true
	b.queue = append(b.queue, s)
}

// wait returns once an enqueued save is committed, or is not.
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

// withdraw takes a save out of the queue, unless somebody commits it already or it
// has been chosen to lead.
func (b *Backend) withdraw(s *save) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.queue, s)
	if i < 0 || s.chosen {
		return false
	}
	b.queue = slices.Delete(b.queue, i, i+1)
	return true
}

// lead commits what is queued, its own save first, and hands the lead on.
func (b *Backend) lead(own *save) {
	company := b.gather()
	b.mu.Lock()
	n := min(len(b.queue), b.maxBatch)
	b.batch = append(b.batch[:0], b.queue[:n]...)
	b.queue = slices.Delete(b.queue, 0, n)
	b.mu.Unlock()

	if company {
		began := time.Now()
		b.commit(b.batch)
		b.lasted = time.Since(began)
	} else {
		b.commit(b.batch)
	}
	for _, s := range b.batch {
		if s != own {
			s.turn <- false
		}
	}
	b.tidy()

	b.mu.Lock()
	defer b.mu.Unlock()
	// Halved, not forgotten: one batch that was cut short by a busy machine would make the next
	// one lonely too, and every second one after it.
	b.company = max(min(len(b.batch)+len(b.queue), b.maxBatch), b.company/2)
	clear(b.batch)
	if b.led = len(b.queue) > 0; b.led {
		b.queue[0].chosen = true
		b.queue[0].turn <- true
	}
}

// gather waits for company before a batch is taken, and says whether there was any
// last time. The runs of the last batch have just been woken and may bring their next
// saves within microseconds: who led without them would commit half of the runs with
// each transaction, and make each half wait for the other's.
//
// It waits only while the queue grows, up to as many saves as there were last time:
// nothing new for an eighth of the time that the last transaction took ends it, and so
// does all of that time. Runs whose agents are slow lose that eighth, 0.2 ms at most. A
// run that is alone again waits so for its next few saves, and then never.
//
// It yields the processor rather than sleeping: the wait is of some microseconds, and the
// shortest sleep or timer takes tens. It also lets the very goroutines run that are
// waited for. Of a map of 800 items, 8 at once, on a busy machine of two processors, 802
// saves came to 105 to 270 transactions at [Process] (n=48), against 802 without company.
func (b *Backend) gather() (company bool) {
	if b.company <= 1 {
		return false
	}
	patience := min(b.lasted/8, 200*time.Microsecond)
	began := time.Now()
	grew, n := began, 0
	// Rounds are bounded too, for a clock that stands still while somebody runs, as in
	// testing/synctest.
	for range 4096 {
		b.mu.Lock()
		now := len(b.queue)
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

// commit sets the error of every save of the batch.
func (b *Backend) commit(batch []*save) {
	b.writing.Lock()
	defer b.writing.Unlock()
	if b.closed.Load() {
		for _, s := range batch {
			s.err = core.ErrClosed
		}
		return
	}
	if len(batch) > 1 && b.together(batch) == nil {
		return
	}
	// One save, or a batch that failed: one by one, so that each fails or succeeds for
	// reasons of its own.
	for _, s := range batch {
		run := b.w.tx
		if s.single {
			run = b.w.autocommit
		}
		if s.err = b.follows(s, run(s.job)); s.err == nil {
			b.committed(s)
		}
	}
}

// follows returns the reason why a step was not saved. A step that was enqueued after one
// that then failed finds no record before its own, as if the run were another's: its
// error is the one of the first.
func (b *Backend) follows(s *save, err error) error {
	first, broken := b.broken[s.lease]
	switch {
	case s.lease == core.Lease{} || err == nil && !broken:
	case err == nil:
		delete(b.broken, s.lease) // made again, with success
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

// tidy keeps the log short, in between. A failure is none of the saves that were made: it
// is logged, and refuses further ones where the writer must not be used any more.
func (b *Backend) tidy() {
	b.writing.Lock()
	defer b.writing.Unlock()
	if b.closed.Load() {
		return
	}
	if err := b.w.shorten(context.Background()); err != nil {
		sqlitedb.LogWarnings(b.path, []string{"the log of a database could not be shortened, it may grow: " + err.Error()})
	}
}

// together commits the batch in one transaction. A save that is refused changes
// nothing and leaves the others alone; any other error undoes them all.
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

// halfDone is the error of a save of which an earlier statement has changed something.
type halfDone struct{ error }

func (e halfDone) Unwrap() error { return e.error }

// refused reports whether an error is of one statement, which SQLite has undone by itself or
// which matched no row. Any other puts the whole transaction in doubt.
func refused(err error) bool {
	return (errors.Is(err, core.ErrFenced) || sqlitedb.Code(err) == lib.SQLITE_CONSTRAINT_UNIQUE) && !errors.As(err, new(halfDone))
}
