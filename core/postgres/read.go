package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flujo/flujo-harness/core"
)

// stored is a run as the database has it.
type stored struct {
	core.Snapshot
	id, seq, answers, seen, sum int64
	ends                        bool // the last record is the state at the end of the run
}

// Load implements [core.Backend].
func (b *Backend) Load(ctx context.Context, key core.RunKey) (snap core.Snapshot, err error) {
	err = b.read(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		// All queries see the same version of the database, in one round trip.
		tx := within{conn, `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`, `COMMIT`}
		run, err := b.readIn(ctx, tx, key, b.sql.readRun)
		snap = run.Snapshot
		return err
	})
	if err != nil {
		return core.Snapshot{}, fmt.Errorf("load run %s: %w", key, err)
	}
	return snap, nil
}

// batcher is a connection or a transaction.
type batcher interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// within is a connection each batch of which is a transaction.
type within struct {
	batcher
	begin, commit string
}

// readIn reads a run and verifies its checksums. first is the statement that reads its row.
func (b *Backend) readIn(ctx context.Context, tx batcher, k core.RunKey, first string) (run stored, err error) {
	key := keyOf(k)
	var statements pgx.Batch
	w, whole := tx.(within)
	if whole {
		statements.Queue(w.begin)
	}
	statements.Queue(first, key)
	statements.Queue(b.sql.readSteps, key)
	statements.Queue(b.sql.readAnswers, key)
	if whole {
		statements.Queue(w.commit)
	}
	results := tx.SendBatch(ctx, &statements)
	defer func() {
		if closeErr := results.Close(); err == nil {
			err = closeErr
		}
	}()
	if whole {
		if _, err := results.Exec(); err != nil {
			return stored{}, err
		}
	}
	run.Start.Key = k
	if err := run.scan(results.QueryRow()); err != nil {
		return stored{}, err
	}
	if err := run.scanSteps(results, key); err != nil {
		return stored{}, err
	}
	if err := run.scanAnswers(results, key); err != nil {
		return stored{}, err
	}
	return run, nil
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", core.ErrCorrupt, fmt.Sprintf(format, args...))
}

// scan reads the row of the run, see runColumns.
func (s *stored) scan(row pgx.Row) error {
	var pipeline, fault, executor, originTenant, originRun, planText []byte
	var plan, started, ended, wake, until, held int64
	var planSum *int64
	o := &s.Start.Origin
	err := row.Scan(&s.id, &pipeline, &plan, &s.Nonce, &s.Epoch, &s.Status, &s.seq, &s.answers, &s.seen, &fault, &started, &ended, &wake, &s.Exits, &s.sum,
		&executor, &until, &held, &originTenant, &originRun, &o.Seq, &planText, &planSum)
	if errors.Is(err, pgx.ErrNoRows) {
		return core.ErrRunNotFound
	}
	if err != nil {
		return err
	}
	s.Start.Pipeline, s.Start.Plan, s.Start.PlanText, s.Start.Time = string(pipeline), uint64(plan), string(planText), instant(started)
	o.Key = core.RunKey{Tenant: string(originTenant), Run: string(originRun)}
	s.Error, s.Ended, s.Wake = string(fault), moment(ended), moment(wake)
	s.Holder = core.Holder{Executor: string(executor), Until: moment(until)}
	got := sumStart(s.Start) | current{s.Epoch, s.Status, s.Error, ended, wake, s.seen, s.Exits}.sum()
	switch {
	case got != s.sum:
		return corrupt("the run has checksum %016x, stored with it is %016x", uint64(got), uint64(s.sum))
	case sumHolder(s.Holder) != held || planSum != nil && sumText(s.Start.PlanText) != *planSum:
		return corrupt("the executor or the plan of the run has another checksum than the one that is stored")
	case s.Status != core.Running:
		s.Holder.Until = moment(0) // it is not being executed
	}
	return nil
}

// scanSteps reads the records, see stepColumns.
func (s *stored) scanSteps(results pgx.BatchResults, key []byte) error {
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	want := int64(0)
	for ; rows.Next(); want++ {
		var r core.StepRecord
		var run, epoch, started, ended, due, sum int64
		var path, token, whom, feedback, fault []byte
		if err := rows.Scan(&run, &r.Seq, &epoch, &r.Status, &r.Attempts, &started, &ended, &r.Usage.Calls, &r.Usage.Tokens, &r.Usage.Cost, &due, &sum,
			&path, &token, &whom, &feedback, &fault, &r.Output, &r.State); err != nil {
			return err
		}
		r.Path, r.Token, r.For, r.Feedback, r.Error = string(path), string(token), string(whom), string(feedback), string(fault)
		r.Started, r.Ended, r.Due = instant(started), instant(ended), moment(due)
		if r.Seq != want {
			return corrupt("record %d is missing", want)
		}
		if got := sumStep(run, key, epoch, &r); got != sum {
			return corrupt("record %d has checksum %08x, stored with it is %08x", r.Seq, got, sum)
		}
		if r.State != nil {
			s.State = r.State
		}
		switch {
		case r.Seq == 0:
			s.Start.State = slices.Clone(r.State)
		case r.Path != "": // a record without a path has the state at the end
			s.Steps = append(s.Steps, r)
		default:
			s.ends = true
		}
	}
	switch {
	case rows.Err() != nil:
		return rows.Err()
	case want != s.seq+1:
		return corrupt("%d records, and the run says %d", want, s.seq+1)
	case s.State == nil:
		return corrupt("no state is stored")
	}
	s.State = slices.Clone(s.State)
	return nil
}

func (s *stored) scanAnswers(results pgx.BatchResults, key []byte) error {
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var a core.AnswerRecord
		var token []byte
		var at, sum int64
		if err := rows.Scan(&token, &a.Answer, &at, &sum); err != nil {
			return err
		}
		a.Token, a.Time = string(token), instant(at)
		if got := sumAnswer(key, &a); got != sum {
			return corrupt("the answer to token %q has checksum %08x, stored with it is %08x", a.Token, got, sum)
		}
		s.Answers = append(s.Answers, a)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if n := int64(len(s.Answers)); n != s.answers {
		return corrupt("%d answers, and the run says %d", n, s.answers)
	}
	return nil
}
