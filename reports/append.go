package reports

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
)

// Appended says what became of a run.
type Appended struct {
	ID    int64 // of the run
	Known bool  // the same run was there already: nothing was added
}

// Append adds the run; r.ID is not looked at. A run that is there already, by its Key
// or, without one, by its content, is not added again: see [Appended]. All of it is
// kept or nothing. The end of ctx does not stop it: a run that was interrupted
// belongs in the history too.
func (h *History) Append(ctx context.Context, r Run) (Appended, error) {
	id, err := h.append(ctx, r)
	return Appended{ID: id}, err
}

func (h *History) append(ctx context.Context, r Run) (id int64, err error) {
	ctx = context.WithoutCancel(ctx)
	comparisons, verdicts, err := encode(r)
	if err != nil {
		return 0, fmt.Errorf("append to history %s: %w", h.path, err)
	}
	tx, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, h.explain("append to", err)
	}
	defer tx.Rollback()
	err = tx.QueryRowContext(ctx, `INSERT INTO runs
		(started, seconds, commit_id, dirty, command, has_suites, suite_error, comparisons, verdicts, outcome, exit_code, complete)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		nanos(r.Started), r.Seconds, r.Commit, r.Dirty, r.Command, r.Suites != nil, r.SuiteError,
		comparisons, verdicts, r.Outcome.String(), r.ExitCode, r.Complete).Scan(&id)
	if err != nil {
		return 0, h.explain("append to", err)
	}
	if r.Suites != nil {
		if err := appendSuites(ctx, tx, id, r.Suites.Suites); err != nil {
			return 0, h.explain("append to", err)
		}
		if err := appendSpecs(ctx, tx, id, r.Suites.Specs); err != nil {
			return 0, h.explain("append to", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return 0, h.explain("append to", err)
	}
	return id, nil
}

// encode refuses what JSON cannot hold, such as an estimate that is not a number.
func encode(r Run) (comparisons, verdicts string, err error) {
	for i := range r.Comparisons {
		if _, err := json.Marshal(r.Comparisons[i]); err != nil {
			return "", "", fmt.Errorf("comparison of %q: %w", r.Comparisons[i].Workload, err)
		}
	}
	if comparisons, err = list(r.Comparisons); err != nil {
		return "", "", err
	}
	if verdicts, err = list(r.Verdicts); err != nil {
		return "", "", fmt.Errorf("verdicts: %w", err)
	}
	return comparisons, verdicts, nil
}

// list is a JSON array, [] of nil.
func list[T any](values []T) (string, error) {
	if values == nil {
		values = []T{}
	}
	text, err := json.Marshal(values)
	return string(text), err
}

func appendSuites(ctx context.Context, tx *sql.Tx, run int64, suites []Suite) error {
	for i, s := range suites {
		failures, err := list(s.Failures)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO suites
			(run_id, position, path, description, started, duration, seed, focused, failures) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			run, i, s.Path, s.Description, nanos(s.Started), int64(s.Duration), s.Seed, s.Focused, failures)
		if err != nil {
			return fmt.Errorf("suite %q: %w", s.Path, err)
		}
	}
	return nil
}

func appendSpecs(ctx context.Context, tx *sql.Tx, run int64, specs []Spec) error {
	// The update changes nothing: it is there so that RETURNING gives the number of a
	// spec that was known already.
	name, err := tx.PrepareContext(ctx, `INSERT INTO specs (key, suite, containers, leaf, occurrence) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING id`)
	if err != nil {
		return err
	}
	defer name.Close()
	result, err := tx.PrepareContext(ctx, `INSERT INTO results
		(run_id, position, spec_id, state, detail, attempts, retried, duration, message, file, line, labels)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	defer result.Close()
	for i := range specs {
		if err := appendSpec(ctx, name, result, run, i, &specs[i]); err != nil {
			return fmt.Errorf("spec %q: %w", specs[i].Name(), err)
		}
	}
	return nil
}

func appendSpec(ctx context.Context, name, result *sql.Stmt, run int64, position int, s *Spec) error {
	containers, err := list(s.Containers)
	if err != nil {
		return err
	}
	labels, err := list(s.Labels)
	if err != nil {
		return err
	}
	var id int64
	if err := name.QueryRowContext(ctx, s.Key(), s.Suite, containers, s.Leaf, s.Occurrence).Scan(&id); err != nil {
		return err
	}
	_, err = result.ExecContext(ctx, run, position, id, string(s.State), s.Detail, s.Attempts, s.Retried,
		int64(s.Duration), s.Message, s.File, s.Line, labels)
	return err
}

// nanos is a time as it is kept; 0 of the zero time, which has no such number.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// decodeRun is the way back from encode.
func decodeRun(r *Run, comparisons, verdicts, outcome string) error {
	var cs []harness.Comparison
	if err := json.Unmarshal([]byte(comparisons), &cs); err != nil {
		return fmt.Errorf("comparisons: %w", err)
	}
	var vs []thresholds.Verdict
	if err := json.Unmarshal([]byte(verdicts), &vs); err != nil {
		return fmt.Errorf("verdicts: %w", err)
	}
	if len(cs) > 0 {
		r.Comparisons = cs
	}
	if len(vs) > 0 {
		r.Verdicts = vs
	}
	return r.Outcome.UnmarshalText([]byte(outcome))
}
