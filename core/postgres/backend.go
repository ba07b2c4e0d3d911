package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flujo/flujo-harness/core"
)

// Backend is a [core.Backend] in a PostgreSQL database. All methods may be called from
// several goroutines.
type Backend struct {
	server     *server
	pool       *pgxpool.Pool
	sql        *statements
	patience   time.Duration // maximum duration of one write
	maxBatch   int           // maximum number of saves of a transaction
	maxLeaders int           // maximum number of simultaneous transactions of saves

	mu       sync.Mutex // guards the fields below
	queue    []*save
	leaders  int
	inFlight map[int64]bool            // runs whose saves are being committed
	broken   map[core.Lease]brokenStep // steps that were not saved
	writing  sync.WaitGroup

	plans sync.Map // fingerprint of a plan -> server.connections when its text was saved

	closed                             atomic.Bool
	lastReset                          atomic.Int64 // time of the last reset of the pool, in ns
	saves, claims, commits, heartbeats atomic.Int64
}

var _ interface {
	core.Backend
	core.StepQueue
	core.Lister
	core.Pruner
} = (*Backend)(nil)

func newBackend(s *server, pool *pgxpool.Pool) *Backend {
	return &Backend{server: s, pool: pool, sql: newStatements(s.quoted()), patience: Patience, maxBatch: maxBatch,
		maxLeaders: int(pool.Config().MaxConns), inFlight: map[int64]bool{}}
}

// Durability returns what a save survives. It was read back from every open connection.
func (b *Backend) Durability() Durability { return b.server.durability }

// Start implements [core.Backend].
func (b *Backend) Start(ctx context.Context, rec core.StartRecord) (core.Lease, error) {
	s, lease := b.startOf(rec)
	if err := b.write(ctx, s); err != nil {
		return core.Lease{}, fmt.Errorf("start run %s: %w", rec.Key, err)
	}
	if !s.done {
		return core.Lease{}, fmt.Errorf("run %s: %w", rec.Key, core.ErrRunExists)
	}
	lease.ID = s.id
	return lease, nil
}

// startOf returns the save of a start, and the lease that it gives, without the number of the run.
func (b *Backend) startOf(rec core.StartRecord) (*save, core.Lease) {
	key, birth := keyOf(rec.Key), rand.Int64()
	sum := sumStart(rec) | current{epoch: 1, status: core.Running}.sum()
	first := core.StepRecord{Status: core.Running, State: rec.State, Started: rec.Time, Ended: rec.Time}
	o := rec.Origin
	s := &save{sql: b.sql.start, key: key, counter: &b.saves, returns: true, args: []any{key, text(rec.Key.Tenant), text(rec.Key.Run), text(rec.Pipeline),
		int64(rec.Plan), birth, rec.Time.UnixNano(), sum, text(rec.Holder.Executor), nanos(rec.Holder.Until), sumHolder(rec.Holder),
		text(o.Key.Tenant), text(o.Key.Run), o.Seq, sumStep(0, key, 1, &first), rec.State}}
	if rec.PlanText != "" {
		s.plan, s.planText = rec.Plan, []any{text(rec.PlanText), sumText(rec.PlanText)}
	}
	s.made = func(ctx context.Context, q querier) (bool, error) {
		return found(q.QueryRow(ctx, b.sql.startMade, key, birth).Scan(&s.id))
	}
	return s, core.Lease{Epoch: 1, Nonce: birth}
}

// Within returns a backend that starts runs in a transaction of the caller: a run that is begun
// through it ([core.Begin]) exists if tx commits. All other methods are those of b and do not use
// tx. Such starts are not counted. Any error of a start but [core.ErrRunExists] may have aborted
// the transaction.
func (b *Backend) Within(tx pgx.Tx) core.Backend { return starter{b, tx} }

type starter struct {
	*Backend
	tx pgx.Tx
}

// Start implements [core.Backend].
func (b starter) Start(ctx context.Context, rec core.StartRecord) (core.Lease, error) {
	s, lease := b.startOf(rec)
	sql, args := b.statement(s, b.server.connections.Load())
	err := b.tx.QueryRow(ctx, sql, args...).Scan(&s.id)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return core.Lease{}, fmt.Errorf("run %s: %w", rec.Key, core.ErrRunExists)
	case err != nil:
		return core.Lease{}, fmt.Errorf("start run %s: %w", rec.Key, b.trouble(err))
	}
	lease.ID = s.id
	return lease, nil
}

// found reports whether a query for one row found it.
func found(err error) (bool, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// Step implements [core.Backend].
func (b *Backend) Step(ctx context.Context, lease core.Lease, rec core.StepRecord) error {
	s := b.step(lease, &rec)
	return s.stepError(b.write(ctx, s))
}

func (b *Backend) step(lease core.Lease, rec *core.StepRecord) *save {
	sum := sumStep(lease.ID, nil, lease.Epoch, rec)
	s := &save{sql: b.sql.step, lease: lease, seq: rec.Seq, counter: &b.saves, args: []any{lease.ID, lease.Nonce, rec.Seq, int16(rec.Status),
		int64(rec.Attempts), rec.Started.UnixNano(), rec.Ended.UnixNano(), rec.Usage.Calls, rec.Usage.Tokens, rec.Usage.Cost, nanos(rec.Due), sum,
		text(rec.Path), text(rec.Token), text(rec.For), text(rec.Feedback), text(rec.Error), rec.Output, rec.State}}
	s.made = func(ctx context.Context, q querier) (bool, error) {
		var saved int64
		made, err := found(q.QueryRow(ctx, b.sql.stepMade, lease.ID, s.seq, lease.Epoch).Scan(&saved))
		return made && saved == sum, err
	}
	return s
}

// stepError returns the error of a step.
func (s *save) stepError(err error) error {
	if err == nil && !s.done {
		err = core.ErrFenced
	}
	if err != nil {
		return fmt.Errorf("run number %d, epoch %d, step record %d: %w", s.lease.ID, s.lease.Epoch, s.seq, err)
	}
	return nil
}

// Enqueue implements [core.StepQueue].
func (b *Backend) Enqueue(lease core.Lease, rec *core.StepRecord) core.Enqueued {
	s := b.step(lease, rec)
	if err := b.enqueue(s); err != nil {
		s.err = err
		close(s.ended)
	}
	return queuedStep{s}
}

// queuedStep is a step in the queue. It is committed even if Wait is not called.
type queuedStep struct{ *save }

// Wait implements [core.Enqueued].
func (s queuedStep) Wait() error {
	<-s.ended
	return s.stepError(s.err)
}

// finishOf returns the save of an end, a pause or a stop.
func (b *Backend) finishOf(lease core.Lease, rec core.FinishRecord) *save {
	end, wake, seen := rec.Time.UnixNano(), nanos(rec.Wake), int64(rec.Answers)
	sum := current{lease.Epoch, rec.Status, rec.Error, end, wake, seen, rec.Exits}.sum()
	s := &save{sql: b.sql.finish, lease: lease, counter: &b.saves,
		args: []any{lease.ID, lease.Nonce, int16(rec.Status), text(rec.Error), end, rec.Exits, wake, seen, sum}}
	if rec.State != nil {
		last := core.StepRecord{Seq: rec.Seq, Status: rec.Status, State: rec.State, Started: rec.Time, Ended: rec.Time}
		s.sql = b.sql.finishState
		s.args = append(s.args, rec.Seq, sumStep(lease.ID, nil, lease.Epoch, &last), rec.State)
	}
	s.made = func(ctx context.Context, q querier) (bool, error) {
		now, err := b.finished(ctx, q, lease)
		if err == nil && now.released > lease.Epoch {
			err = errOverwritten
		}
		return err == nil && now.releaser == lease.Nonce, err
	}
	return s
}

// Finish implements [core.Backend].
func (b *Backend) Finish(ctx context.Context, lease core.Lease, rec core.FinishRecord) error {
	s := b.finishOf(lease, rec)
	err := b.write(ctx, s)
	fail := func(err error) error { return fmt.Errorf("run number %d, epoch %d: %w", lease.ID, lease.Epoch, err) }
	switch {
	case err != nil:
		return fail(err)
	case s.done:
		return nil
	case rec.Status == core.Paused: // refused because of new answers, or fenced
		var now finished
		err := b.read(ctx, func(ctx context.Context, q *pgxpool.Conn) (err error) {
			now, err = b.finished(ctx, q, lease)
			return err
		})
		switch {
		case err != nil:
			return fail(fmt.Errorf("its pause was not saved, and why could not be read: %w", err))
		case now.nonce == lease.Nonce && now.status == core.Running && now.answers != int64(rec.Answers):
			return fail(core.ErrSignalled)
		}
	}
	return fail(core.ErrFenced)
}

// finished has the columns that show whether a run was released; zero if there is no such run.
type finished struct {
	nonce, answers, released, releaser int64
	status                             core.Status
}

func (b *Backend) finished(ctx context.Context, q querier, lease core.Lease) (f finished, err error) {
	_, err = found(q.QueryRow(ctx, b.sql.finishMade, lease.ID).Scan(&f.nonce, &f.status, &f.answers, &f.released, &f.releaser))
	return f, err
}

// Signal implements [core.Backend].
func (b *Backend) Signal(ctx context.Context, k core.RunKey, rec core.AnswerRecord) error {
	key, name := keyOf(k), tokenKey(rec.Token)
	answer := rec.Answer
	if answer == nil {
		answer = []byte{}
	}
	sum := sumAnswer(key, &core.AnswerRecord{Token: rec.Token, Answer: answer, Time: rec.Time})
	var now asked
	s := &save{sql: b.sql.answer, counter: &b.saves, args: []any{key, text(rec.Token), name, answer, rec.Time.UnixNano(), sum}}
	s.made = func(ctx context.Context, q querier) (made bool, err error) {
		now, err = b.asked(ctx, q, key, rec.Token)
		return err == nil && now.sum != nil && *now.sum == sum, err
	}
	err := b.alone(ctx, s)
	switch {
	case isUnique(err):
		err = core.ErrAnswered
	case err == nil && s.done:
		return nil
	case err == nil:
		err = b.read(ctx, func(ctx context.Context, q *pgxpool.Conn) (err error) {
			now, err = b.asked(ctx, q, key, rec.Token)
			return err
		})
		switch {
		case err != nil:
		case now.status == 0:
			err = core.ErrRunNotFound
		case now.status.Ended() || !now.pause || now.sum == nil:
			err = core.ErrNoPause
		default:
			err = core.ErrAnswered
		}
	}
	return fmt.Errorf("answer to run %s: %w", k, err)
}

// asked has the columns that show why an answer was refused.
type asked struct {
	status core.Status // 0: there is no run
	pause  bool
	sum    *int64 // checksum of the saved answer; nil: none
}

func (b *Backend) asked(ctx context.Context, q querier, key []byte, token string) (a asked, err error) {
	_, err = found(q.QueryRow(ctx, b.sql.answerMade, key, text(token), tokenKey(token)).Scan(&a.status, &a.pause, &a.sum))
	return a, err
}

// Counts implements [core.Backend].
func (b *Backend) Counts() core.Counts {
	return core.Counts{Saves: b.saves.Load(), Claims: b.claims.Load(), Commits: b.commits.Load(), Heartbeats: b.heartbeats.Load()}
}

// Close implements [core.Backend]. It waits for saves that are being committed. A second Close does nothing.
func (b *Backend) Close() error {
	b.mu.Lock()
	first := !b.closed.Swap(true)
	queue := b.queue
	if first {
		b.queue = nil
	}
	b.mu.Unlock()
	if !first {
		return nil
	}
	for _, s := range queue {
		s.err = core.ErrClosed
		close(s.ended)
	}
	b.writing.Wait()
	b.pool.Close()
	return nil
}
