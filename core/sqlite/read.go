package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/flujo/flujo-harness/core"
)

// stored is a run as the database has it.
type stored struct {
	core.Snapshot
	row
	ends bool // the last record is the state at the end of the run
}

// row identifies a run and its version.
type row struct {
	id, sum, nonce int64
	seen           int64 // number of answers that were known when it paused
}

func (b *Backend) load(ctx context.Context, key core.RunKey) (run stored, err error) {
	defer func() {
		if err != nil && b.closed.Load() {
			err = core.ErrClosed
		}
		if err != nil {
			err = fmt.Errorf("load run %s: %w", key, b.trouble(err))
		}
	}()
	tx, err := b.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // all queries see the same version of the database
	if err != nil {
		return run, err
	}
	defer tx.Rollback()
	return read(ctx, tx, key)
}

// sumOf returns the checksum of a snapshot, which the row of the run must have.
func (s *stored) sumOf(of core.Snapshot) int64 {
	buf, born := sumStart(nil, &of.Start)
	_, now := sumNow(buf, current{of.Epoch, of.Status, of.Error, nanos(of.Ended), nanos(of.Wake), s.seen, of.Exits})
	return born | now
}

// queries is a transaction, or a connection within one.
type queries interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// read returns a run and verifies its checksums.
func read(ctx context.Context, tx queries, key core.RunKey) (stored, error) {
	fail := func(err error) (stored, error) { return stored{}, err }
	var s stored
	var plan, started, ended, wake, until, held int64
	var text sql.NullString
	var textSum sql.NullInt64
	var after sql.NullInt64 // key of the next run's first record
	s.Start.Key = key
	err := tx.QueryRowContext(ctx, `SELECT (SELECT min(key) FROM steps WHERE key > id << 20 | 1048575),
		id, pipeline, runs.plan, epoch, nonce, status, error, started, ended, exits, runs.sum, wake, seen, executor, until, held,
		origin_tenant, origin_run, origin_seq, plans.text, plans.sum
		FROM runs LEFT JOIN plans ON plans.plan = runs.plan WHERE tenant = ? AND run = ?`, key.Tenant, key.Run).
		Scan(&after, &s.id, &s.Start.Pipeline, &plan, &s.Epoch, &s.nonce, &s.Status, &s.Error, &started, &ended, &s.Exits, &s.sum, &wake, &s.seen,
			&s.Holder.Executor, &until, &held, &s.Start.Origin.Key.Tenant, &s.Start.Origin.Key.Run, &s.Start.Origin.Seq, &text, &textSum)
	if errors.Is(err, sql.ErrNoRows) {
		return fail(core.ErrRunNotFound)
	}
	if err != nil {
		return fail(err)
	}
	s.Start.Plan, s.Start.Time = uint64(plan), instant(started)
	s.Ended, s.Wake, s.Start.PlanText = moment(ended), moment(wake), text.String
	if got := s.sumOf(s.Snapshot); got != s.sum {
		return fail(fmt.Errorf("%w: the run has checksum %016x, stored with it is %016x", core.ErrCorrupt, uint64(got), uint64(s.sum)))
	}
	s.Nonce, s.Holder.Until = s.nonce, moment(until)
	if _, got := sumHolder(nil, s.Holder); got != held || text.Valid && sumText(text.String) != textSum.Int64 {
		return fail(fmt.Errorf("%w: the executor or the plan of the run has another checksum than the one that is stored", core.ErrCorrupt))
	}
	if s.Status != core.Running {
		s.Holder.Until = moment(0) // it is not being executed
	}
	if after.Int64&maxSeq != 0 {
		return fail(fmt.Errorf("%w: after the run lies record %d of no run, which may be its last", core.ErrCorrupt, after.Int64))
	}
	rows, err := tx.QueryContext(ctx, `SELECT key, path, status, attempts, output, feedback, error, state, started, ended, sum, calls, tokens, cost, token, whom, due
		FROM steps WHERE key BETWEEN ? AND ? ORDER BY key`, s.id<<seqBits, s.id<<seqBits|maxSeq)
	if err != nil {
		return fail(err)
	}
	defer rows.Close()
	var buf []byte
	for want := int64(0); rows.Next(); want++ {
		var r core.StepRecord
		var stepKey, began, finished, stored, due int64
		if err := rows.Scan(&stepKey, &r.Path, &r.Status, &r.Attempts, &r.Output, &r.Feedback, &r.Error, &r.State, &began, &finished, &stored,
			&r.Usage.Calls, &r.Usage.Tokens, &r.Usage.Cost, &r.Token, &r.For, &due); err != nil {
			return fail(err)
		}
		r.Seq, r.Started, r.Ended = stepKey&maxSeq, instant(began), instant(finished)
		r.Due = moment(due)
		if r.Seq != want {
			return fail(fmt.Errorf("%w: record %d is missing", core.ErrCorrupt, want))
		}
		var got int64
		if buf, got = sum(buf, stepKey, &r); got != stored {
			return fail(fmt.Errorf("%w: record %d has checksum %08x, stored with it is %08x", core.ErrCorrupt, r.Seq, got, stored))
		}
		if r.State != nil {
			s.State = r.State
		}
		switch {
		case r.Seq == 0:
			s.Start.State = r.State
		case r.Path != "": // a record without a path has the state at the end
			s.Steps = append(s.Steps, r)
		default:
			s.ends = true
		}
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	if s.State == nil {
		return fail(fmt.Errorf("%w: no state is stored", core.ErrCorrupt))
	}
	if s.Answers, err = loadAnswers(ctx, tx, s.id); err != nil {
		return fail(err)
	}
	return s, nil
}

func loadAnswers(ctx context.Context, tx queries, run int64) (answers []core.AnswerRecord, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT token, answer, at, sum FROM answers WHERE run = ? ORDER BY at, token`, run)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var a core.AnswerRecord
		var at, stored int64
		if err := rows.Scan(&a.Token, &a.Answer, &at, &stored); err != nil {
			return nil, err
		}
		a.Time = instant(at)
		if got := sumAnswer(run, &a); got != stored {
			return nil, fmt.Errorf("%w: the answer to token %q has checksum %08x, stored with it is %08x", core.ErrCorrupt, a.Token, got, stored)
		}
		answers = append(answers, a)
	}
	return answers, rows.Err()
}
