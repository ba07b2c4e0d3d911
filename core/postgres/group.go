package postgres

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flujo/flujo-harness/core"
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

// querier is a connection or a transaction.
type querier interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

// save is one write by one statement. The statement takes effect only once: a repetition is
// refused. made finds out whether it took effect; it is called only after a connection failed.
type save struct {
	sql     string
	args    []any
	returns bool // the statement returns the number of the run
	made    func(ctx context.Context, q querier) (bool, error)
	counter *atomic.Int64

	plan     uint64 // of a start
	planText []any  // its further arguments if the text of the plan is not saved; nil: there is no text

	key   []byte     // set for a start, which has no lease; gives the order of locks
	lease core.Lease // set for other saves that have one
	seq   int64      // set for a step; 0 for other saves

	// Owned by the goroutine that commits the save until ended is closed.
	id    int64
	done  bool // it took effect; if false and err is nil, it was refused
	begun time.Time
	doubt bool // a connection failed when the statement may have been sent already
	err   error
	ended chan struct{}
}

// errOverwritten means that it can no longer be known whether a save took effect.
var errOverwritten = errors.New("others have saved since")

// write commits one save. Saves of simultaneous runs are combined into transactions. s.done says
// whether the save took effect or was refused.
func (b *Backend) write(ctx context.Context, s *save) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := b.enqueue(s); err != nil {
		return err
	}
	select {
	case <-s.ended:
	case <-ctx.Done():
		if b.withdraw(s) {
			return context.Cause(ctx)
		}
		<-s.ended // too late: it is being committed
	}
	return s.err
}

// enqueue puts a save into the queue. If a connection is free, a new transaction commits it;
// otherwise the next transaction does, with all other saves that wait.
func (b *Backend) enqueue(s *save) error {
	s.ended = make(chan struct{})
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed.Load() {
		return core.ErrClosed
	}
	b.queue = append(b.queue, s)
	if b.leaders < b.maxLeaders {
		b.leaders++
		b.writing.Add(1)
		go b.lead()
	}
	return nil
}

// withdraw removes a save from the queue, unless it is being committed.
func (b *Backend) withdraw(s *save) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.queue, s)
	if i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
	}
	return i >= 0
}

// take removes saves from the queue. If saves of a run are being committed on another connection,
// further saves of that run stay in the queue, because they could be executed first.
func (b *Backend) take() (batch []*save) {
	b.mu.Lock()
	defer b.mu.Unlock()
	kept := b.queue[:0]
	for _, s := range b.queue {
		if len(batch) < b.maxBatch && !b.inFlight[s.lease.ID] {
			batch = append(batch, s)
		} else {
			kept = append(kept, s)
		}
	}
	clear(b.queue[len(kept):])
	b.queue = kept
	for _, s := range batch {
		if s.lease.ID != 0 {
			b.inFlight[s.lease.ID] = true
		}
	}
	return batch
}

// idle reports whether no save can be taken, and then ends the leader. Both happen under one lock:
// a later enqueue starts another leader, and saves that stay are taken by the leaders that are
// committing saves of the same runs.
func (b *Backend) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if slices.ContainsFunc(b.queue, func(s *save) bool { return !b.inFlight[s.lease.ID] }) {
		return false
	}
	b.leaders--
	return true
}

// lead commits saves until the queue has none that can be taken. It releases the connection after
// each transaction, so that readers and claims get one too.
func (b *Backend) lead() {
	defer b.writing.Done()
	for !b.idle() {
		ctx, cancel := context.WithTimeout(context.Background(), b.patience)
		conn, err := b.pool.Acquire(ctx) // before take: while this waits, the batch grows
		batch := b.take()
		// Rows are always locked in the same order, which prevents deadlocks.
		slices.SortStableFunc(batch, func(x, y *save) int {
			return cmp.Or(bytes.Compare(y.key, x.key), cmp.Compare(x.lease.ID, y.lease.ID))
		})
		now := time.Now()
		for _, s := range batch {
			s.begun = now
		}
		doubt := false
		if err == nil {
			if len(batch) > 0 {
				err = b.together(ctx, conn, batch)
				doubt = lost(err)
			}
			conn.Release()
		}
		cancel()
		if err != nil {
			b.severally(batch, doubt)
		}
		b.committed(batch, err == nil)
	}
}

// alone commits a save that locks rows in another order than batches do.
func (b *Backend) alone(ctx context.Context, s *save) error {
	leave, err := b.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	s.begun = time.Now()
	if err := b.settle(s); err != nil || !s.done {
		return err
	}
	s.counter.Add(1)
	b.commits.Add(1)
	return nil
}

// enter begins a write outside of the queue.
func (b *Backend) enter(ctx context.Context) (leave func(), err error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed.Load() {
		return nil, core.ErrClosed
	}
	b.writing.Add(1)
	return b.writing.Done, nil
}

// committed counts saves and wakes the goroutines that wait for them.
func (b *Backend) committed(batch []*save, together bool) {
	commits := int64(0)
	for _, s := range batch {
		if s.done {
			s.counter.Add(1)
			commits++
		}
	}
	if together {
		commits = min(commits, 1)
	}
	b.commits.Add(commits)
	b.mu.Lock()
	for _, s := range batch {
		b.follows(s)
		delete(b.inFlight, s.lease.ID)
	}
	b.mu.Unlock()
	for _, s := range batch {
		close(s.ended)
	}
}

// follows sets the error of a step that was not saved. If an earlier step in the queue failed, a
// later one finds no record before its own, as if the run had another holder: it gets the error
// of the earlier step. The caller holds the lock.
func (b *Backend) follows(s *save) {
	if s.seq == 0 {
		return
	}
	first, broken := b.broken[s.lease]
	switch {
	case s.done:
		if broken && s.seq >= first.seq {
			delete(b.broken, s.lease) // repeated with success
		}
	case s.err == nil && broken && s.seq > first.seq:
		s.err = first.err
	case s.err != nil:
		if b.broken == nil || len(b.broken) >= mostBroken {
			b.broken = map[core.Lease]brokenStep{}
		}
		b.broken[s.lease] = brokenStep{s.seq, fmt.Errorf("step %d of the run was not saved: %w", s.seq, s.err)}
	}
}

// together commits the batch in one transaction and one round trip. A save that is refused changes
// nothing and does not affect the others. After an error the outcome of all saves is unknown.
func (b *Backend) together(ctx context.Context, conn *pgxpool.Conn, batch []*save) error {
	var statements pgx.Batch
	connections := b.server.connections.Load()
	for _, s := range batch {
		sql, args := b.statement(s, connections)
		statements.Queue(sql, args...)
	}
	results := conn.SendBatch(ctx, &statements)
	for _, s := range batch {
		if err := s.take(results); err != nil {
			return errors.Join(err, results.Close())
		}
	}
	if err := results.Close(); err != nil { // the commit
		for _, s := range batch {
			s.done = false
		}
		return err
	}
	for _, s := range batch {
		if s.planText != nil {
			b.plans.Store(s.plan, connections)
		}
	}
	return nil
}

// statement returns the statement of a save and its arguments. That of a start saves the text of its plan,
// unless that was done since the last of the connections was made, which can lead to a server that has lost
// it: after a failover, or a restore from a backup.
func (b *Backend) statement(s *save, connections int64) (sql string, args []any) {
	if s.planText == nil {
		return s.sql, s.args
	}
	if saved, _ := b.plans.Load(s.plan); saved == connections {
		return s.sql, s.args
	}
	return b.sql.startPlan, append(s.args[:len(s.args):len(s.args)], s.planText...)
}

// take reads the result of the statement of a save.
func (s *save) take(results pgx.BatchResults) error {
	if !s.returns {
		tag, err := results.Exec()
		s.done = err == nil && tag.RowsAffected() > 0
		return err
	}
	err := results.QueryRow().Scan(&s.id)
	s.done = err == nil
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}

// severally commits saves one by one, in their order, after their common transaction failed or no
// connection was available, so that no save fails because of another. doubt means that the common
// transaction may have been committed.
func (b *Backend) severally(batch []*save, doubt bool) {
	for _, s := range batch {
		s.done, s.doubt = false, doubt
		s.err = b.settle(s)
	}
}

// settle commits one save, on one connection after the other, until it is known whether it took
// effect. Repeating it is safe: if an earlier attempt reaches the server late, either it is found
// by the repetition, or it is refused because of it.
func (b *Backend) settle(s *save) error {
	err := b.persist(s.begun, &s.doubt, func(ctx context.Context, conn *pgxpool.Conn) error {
		err := b.together(ctx, conn, []*save{s})
		var definite error
		if err != nil {
			if !s.doubt || inDoubt(err) || again(err) {
				return err
			}
			definite = err // of this attempt; an earlier one may have taken effect
		}
		if s.doubt && !s.done {
			made, lookErr := s.made(ctx, conn)
			if lookErr != nil {
				return lookErr
			}
			s.done = made
			if made {
				return nil
			}
		}
		return definite
	})
	if errors.Is(err, errOverwritten) {
		return fmt.Errorf("%w: %w", core.ErrInDoubt, err)
	}
	return err
}

// persist calls do with a connection, and again with another one if the connection failed, until
// the patience since begun is over. It sets doubt if the server may have done the work when a
// connection failed; the final error is then [core.ErrInDoubt].
func (b *Backend) persist(begun time.Time, doubt *bool, do func(ctx context.Context, conn *pgxpool.Conn) error) error {
	ctx, cancel := context.WithDeadline(context.Background(), begun.Add(b.patience))
	defer cancel()
	wait := 5 * time.Millisecond
	var said error // the latest error that is not due to the end of the patience
	for {
		sent := false
		conn, err := b.pool.Acquire(ctx)
		if err == nil {
			sent = true
			err = do(ctx, conn)
			conn.Release()
		}
		if err == nil {
			return nil
		}
		if said == nil || !errors.Is(err, context.DeadlineExceeded) {
			said = err
		}
		unknown := inDoubt(err)
		if sent && lost(err) {
			*doubt = true
		}
		if !unknown && !again(err) {
			return b.trouble(err)
		}
		if unknown {
			b.reset()
		}
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
			wait = min(2*wait, time.Second)
			continue
		case <-ctx.Done():
			pause.Stop()
		}
		err = fmt.Errorf("the server was not there for %v: %w", b.patience, b.trouble(said))
		if *doubt {
			err = fmt.Errorf("%w: %w", core.ErrInDoubt, err)
		}
		return err
	}
}

// reset closes all idle connections, because they lead to the same server as the failed one.
// Connections in use are closed when they are released.
func (b *Backend) reset() {
	now := time.Now().UnixNano()
	if last := b.lastReset.Load(); now-last > int64(time.Second) && b.lastReset.CompareAndSwap(last, now) {
		b.pool.Reset()
	}
}

// read calls do with a connection, and again with another one if the first is dead.
func (b *Backend) read(ctx context.Context, do func(ctx context.Context, conn *pgxpool.Conn) error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if b.closed.Load() {
		return core.ErrClosed
	}
	free, cancel := context.WithTimeoutCause(ctx, b.patience, fmt.Errorf("the server did not answer for %v", b.patience))
	defer cancel()
	for attempt := 0; ; attempt++ {
		conn, err := b.pool.Acquire(free)
		if err == nil {
			err = do(free, conn)
			conn.Release()
		}
		switch cause := context.Cause(free); {
		case err == nil:
			return nil
		case b.closed.Load():
			return core.ErrClosed
		case cause != nil:
			return fmt.Errorf("%w: %w", cause, b.trouble(err))
		case attempt == 3 || !inDoubt(err):
			return b.trouble(err)
		}
		b.reset()
	}
}
