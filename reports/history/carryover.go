package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/thresholds"
)

// carryOver converts the runs in the tables of version 1 (one row per spec) to the current tables and
// drops the old ones. It does so in one transaction, which also excludes other processes that try.
func (h *History) carryOver(ctx context.Context) error {
	left, err := has(ctx, h.db, "runs_v1") // mostly false: then no lock is needed
	if err != nil || !left {
		return err
	}
	tx, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if left, err = has(ctx, tx, "runs_v1"); err != nil || !left {
		return err
	}
	runs, err := collect(ctx, tx, `SELECT id, started, seconds, commit_id, dirty, command, has_suites, suite_error,
		comparisons, verdicts, outcome, exit_code, complete FROM runs_v1 ORDER BY id`, nil, scanRunV1)
	if err != nil {
		return err
	}
	for i := range runs {
		r := &runs[i]
		if r.Suites != nil {
			if err := resultsV1(ctx, tx, r); err != nil {
				return fmt.Errorf("run %d: %w", r.ID, err)
			}
		}
		if _, err := appendRun(ctx, tx, *r, r.ID); err != nil {
			return fmt.Errorf("run %d: %w", r.ID, err)
		}
		r.Suites = nil
	}
	for _, table := range []string{"results_v1", "suites_v1", "specs_v1", "runs_v1"} {
		if _, err := tx.ExecContext(ctx, "DROP TABLE "+table); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func has(ctx context.Context, db querier, table string) (bool, error) {
	n, err := collect(ctx, db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?", []any{table}, scanNumber)
	return len(n) == 1 && n[0] > 0, err
}

func resultsV1(ctx context.Context, tx *sql.Tx, r *reports.Run) (err error) {
	r.Suites.Suites, err = collect(ctx, tx, `SELECT path, description, started, duration, seed, focused, failures
		FROM suites_v1 WHERE run_id = ? ORDER BY position`, []any{r.ID}, scanSuiteV1)
	if err != nil {
		return err
	}
	r.Suites.Specs, err = collect(ctx, tx, `SELECT s.suite, s.containers, s.leaf, s.occurrence,
			r.state, r.detail, r.attempts, r.retried, r.duration, r.message, r.file, r.line, r.labels
		FROM results_v1 r JOIN specs_v1 s ON s.id = r.spec_id WHERE r.run_id = ? ORDER BY r.position`, []any{r.ID}, scanSpecV1)
	// Two specs of version 1 may have the same key now, if their texts differed only in where one
	// ends and the next begins.
	seen := map[string]bool{}
	for i := range r.Suites.Specs {
		s := &r.Suites.Specs[i]
		for seen[s.Key()] {
			s.Occurrence++
		}
		seen[s.Key()] = true
	}
	return err
}

func scanRunV1(rows *sql.Rows) (reports.Run, error) {
	var (
		r                              reports.Run
		started                        int64
		hasSuites                      bool
		comparisons, verdicts, outcome string
	)
	err := rows.Scan(&r.ID, &started, &r.Seconds, &r.Commit, &r.Dirty, &r.Command, &hasSuites, &r.SuiteError,
		&comparisons, &verdicts, &outcome, &r.ExitCode, &r.Complete)
	if err != nil {
		return reports.Run{}, err
	}
	r.Started = fromNanos(started)
	if hasSuites {
		r.Suites = &reports.Results{}
	}
	if err := decodeMeasured(&r, []byte(comparisons), []byte(verdicts)); err != nil {
		return reports.Run{}, fmt.Errorf("run %d: %w", r.ID, err)
	}
	return r, r.Outcome.UnmarshalText([]byte(outcome))
}

func scanSuiteV1(rows *sql.Rows) (reports.Suite, error) {
	var (
		s                 reports.Suite
		started, duration int64
		failures          string
	)
	if err := rows.Scan(&s.Path, &s.Description, &started, &duration, &s.Seed, &s.Focused, &failures); err != nil {
		return reports.Suite{}, err
	}
	s.Started, s.Duration = fromNanos(started), time.Duration(duration)
	return s, unlist(failures, &s.Failures)
}

func scanSpecV1(rows *sql.Rows) (reports.Spec, error) {
	var (
		s                  reports.Spec
		state              string
		duration           int64
		containers, labels string
	)
	err := rows.Scan(&s.Suite, &containers, &s.Leaf, &s.Occurrence, &state, &s.Detail, &s.Attempts, &s.Retried,
		&duration, &s.Message, &s.File, &s.Line, &labels)
	if err != nil {
		return reports.Spec{}, err
	}
	s.State, s.Duration = reports.State(state), time.Duration(duration)
	return s, errors.Join(unlist(containers, &s.Containers), unlist(labels, &s.Labels))
}

// decodeMeasured is the inverse of encodeMeasured.
func decodeMeasured(r *reports.Run, comparisons, verdicts []byte) error {
	var cs []harness.Comparison
	if err := json.Unmarshal(comparisons, &cs); err != nil {
		return fmt.Errorf("comparisons: %w", err)
	}
	var vs []thresholds.Verdict
	if err := json.Unmarshal(verdicts, &vs); err != nil {
		return fmt.Errorf("verdicts: %w", err)
	}
	if len(cs) > 0 {
		r.Comparisons = cs
	}
	if len(vs) > 0 {
		r.Verdicts = vs
	}
	return nil
}
