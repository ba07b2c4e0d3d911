package reports

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const selectRun = `SELECT id, started, seconds, commit_id, dirty, command, has_suites, suite_error,
	comparisons, verdicts, outcome, exit_code, complete FROM runs `

// Load returns the run of this number, or [ErrNoRun].
func (h *History) Load(ctx context.Context, id int64) (*Run, error) {
	runs, err := h.load(ctx, selectRun+"WHERE id = ?", id)
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, fmt.Errorf("load run %d of history %s: %w: the trend in the report of the latest run numbers them", id, h.path, ErrNoRun)
	}
	return &runs[0], nil
}

// Latest returns the last n runs with all their results, the newest first.
func (h *History) Latest(ctx context.Context, n int) ([]Run, error) {
	return h.load(ctx, selectRun+"ORDER BY id DESC LIMIT ?", max(0, n))
}

// Before returns the latest run before this number that has results of suites: what
// the specs of the run are compared with. It is nil where there is none.
func (h *History) Before(ctx context.Context, id int64) (*Run, error) {
	runs, err := h.load(ctx, selectRun+"WHERE id < ? AND has_suites ORDER BY id DESC LIMIT 1", id)
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	return &runs[0], nil
}

func (h *History) load(ctx context.Context, query string, arg any) ([]Run, error) {
	runs, err := collect(ctx, h.db, query, arg, scanRun)
	if err != nil {
		return nil, h.explain("read", err)
	}
	for i := range runs {
		if runs[i].Suites == nil {
			continue
		}
		if runs[i].Suites, err = h.results(ctx, runs[i].ID); err != nil {
			return nil, h.explain("read", fmt.Errorf("run %d: %w", runs[i].ID, err))
		}
	}
	return runs, nil
}

func (h *History) results(ctx context.Context, run int64) (*Results, error) {
	suites, err := collect(ctx, h.db, `SELECT path, description, started, duration, seed, focused, failures
		FROM suites WHERE run_id = ? ORDER BY position`, run, scanSuite)
	if err != nil {
		return nil, err
	}
	specs, err := collect(ctx, h.db, `SELECT s.suite, s.containers, s.leaf, s.occurrence,
			r.state, r.detail, r.attempts, r.retried, r.duration, r.message, r.file, r.line, r.labels
		FROM results r JOIN specs s ON s.id = r.spec_id WHERE r.run_id = ? ORDER BY r.position`, run, scanSpec)
	if err != nil {
		return nil, err
	}
	return &Results{Suites: suites, Specs: specs}, nil
}

// collect runs a query to its end, so that no connection is held between two.
func collect[T any](ctx context.Context, db *sql.DB, query string, arg any, scan func(*sql.Rows) (T, error)) (all []T, err error) {
	rows, err := db.QueryContext(ctx, query, arg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

func scanRun(rows *sql.Rows) (Run, error) {
	var (
		r                              Run
		started                        int64
		hasSuites                      bool
		comparisons, verdicts, outcome string
	)
	err := rows.Scan(&r.ID, &started, &r.Seconds, &r.Commit, &r.Dirty, &r.Command, &hasSuites, &r.SuiteError,
		&comparisons, &verdicts, &outcome, &r.ExitCode, &r.Complete)
	if err != nil {
		return Run{}, err
	}
	r.Started = fromNanos(started)
	if hasSuites {
		r.Suites = &Results{} // filled in by load
	}
	if err := decodeRun(&r, comparisons, verdicts, outcome); err != nil {
		return Run{}, fmt.Errorf("run %d: %w", r.ID, err)
	}
	return r, nil
}

func scanSuite(rows *sql.Rows) (Suite, error) {
	var (
		s                 Suite
		started, duration int64
		failures          string
	)
	if err := rows.Scan(&s.Path, &s.Description, &started, &duration, &s.Seed, &s.Focused, &failures); err != nil {
		return Suite{}, err
	}
	s.Started, s.Duration = fromNanos(started), time.Duration(duration)
	return s, unlist(failures, &s.Failures)
}

func scanSpec(rows *sql.Rows) (Spec, error) {
	var (
		s                  Spec
		state              string
		duration           int64
		containers, labels string
	)
	err := rows.Scan(&s.Suite, &containers, &s.Leaf, &s.Occurrence, &state, &s.Detail, &s.Attempts, &s.Retried,
		&duration, &s.Message, &s.File, &s.Line, &labels)
	if err != nil {
		return Spec{}, err
	}
	s.State, s.Duration = State(state), time.Duration(duration)
	return s, errors.Join(unlist(containers, &s.Containers), unlist(labels, &s.Labels))
}

// unlist is the way back from list; an empty array is nil again.
func unlist[T any](text string, into *[]T) error {
	if text == "[]" {
		return nil
	}
	return json.Unmarshal([]byte(text), into)
}
