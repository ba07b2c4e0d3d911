package history

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/thresholds"
)

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Load returns a run by its ID, or an error that wraps [ErrNoRun].
func (h *History) Load(ctx context.Context, id int64) (*reports.Run, error) {
	runs, err := h.load(ctx, "WHERE id = ?", id)
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, fmt.Errorf("load run %d of history %s: %w: the trend in the report of the latest run lists the numbers", id, h.path, ErrNoRun)
	}
	return &runs[0], nil
}

// Latest returns the last n runs with all their results, newest first. The order is that of their
// start, which may differ from the order in which they were appended.
func (h *History) Latest(ctx context.Context, n int) ([]reports.Run, error) {
	return h.load(ctx, "ORDER BY at DESC, id DESC LIMIT ?", max(0, n))
}

// Lines returns the last n runs without their results, newest first, and the number of older runs.
func (h *History) Lines(ctx context.Context, n int) (lines []RunLine, older int, err error) {
	rows, err := newReader(ctx, h.db).Rows("ORDER BY at DESC, id DESC LIMIT ?", max(0, n))
	if err != nil {
		return nil, 0, h.explain("read", err)
	}
	for i := range rows {
		lines = append(lines, rows[i].Line())
	}
	var all int
	if err := h.db.QueryRowContext(ctx, "SELECT count(*) FROM runs").Scan(&all); err != nil {
		return nil, 0, h.explain("read", err)
	}
	return lines, max(0, all-len(lines)), nil
}

// onlyMeasured is the condition for runs that satisfy [reports.Run.OnlyMeasured].
const onlyMeasured = "has_suites = 0 AND suite_error = '' AND format IN ('', '" + reports.FormatBenchmarks + "')"

// LinesOfTests is like Lines without runs that only measured or compared, and does not count. Runs
// whose tests gave no results, or were interrupted, are among them.
func (h *History) LinesOfTests(ctx context.Context, n int) (lines []RunLine, err error) {
	rows, err := newReader(ctx, h.db).Rows("WHERE NOT ("+onlyMeasured+") ORDER BY at DESC, id DESC LIMIT ?", max(0, n))
	if err != nil {
		return nil, h.explain("read", err)
	}
	for i := range rows {
		lines = append(lines, rows[i].Line())
	}
	return lines, nil
}

func (h *History) load(ctx context.Context, which string, args ...any) ([]reports.Run, error) {
	var runs []reports.Run
	err := h.Read(ctx, func(r *Reader) (err error) {
		runs, err = r.runs(which, args...)
		return err
	})
	return runs, err
}

// Read calls f with a reader within one transaction, so that f sees a consistent state. It converts
// errors of the database to those of this package, such as [*DamagedError].
func (h *History) Read(ctx context.Context, f func(*Reader) error) error {
	tx, err := h.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return h.explain("read", err)
	}
	defer tx.Rollback()
	if err := f(newReader(ctx, tx)); err != nil {
		return h.explain("read", err)
	}
	return nil
}

// Count returns the number of runs that satisfy an SQL condition.
func (r *Reader) Count(which string, args ...any) (int64, error) {
	n, err := collect(r.ctx, r.db, "SELECT count(*) FROM runs WHERE "+which, args, scanNumber)
	if err != nil {
		return 0, err
	}
	return n[0], nil
}

// Pruned reports whether the run with this ID was recorded and has been removed.
func (r *Reader) Pruned(run int64) (bool, error) {
	n, err := collect(r.ctx, r.db, "SELECT count(*) FROM sqlite_sequence WHERE name = 'runs' AND seq >= ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE id = ?1)", []any{run}, scanNumber)
	if err != nil {
		return false, err
	}
	return n[0] > 0, nil
}

// Reader reads rows within one transaction and verifies their checksums.
type Reader struct {
	ctx context.Context
	db  querier
	inflater
	rosters map[int64][]byte // packed rosters by blob ID
	names   *names           // nil before they are read
}

func newReader(ctx context.Context, db querier) *Reader {
	return &Reader{ctx: ctx, db: db, rosters: map[int64][]byte{}}
}

// runs loads runs with all their results.
func (r *Reader) runs(which string, args ...any) ([]reports.Run, error) {
	rows, err := r.Rows(which, args...)
	if err != nil {
		return nil, err
	}
	runs := make([]reports.Run, len(rows))
	for i := range rows {
		if runs[i], err = r.Whole(rows[i]); err != nil {
			return nil, fmt.Errorf("run %d: %w", rows[i].ID, err)
		}
	}
	return runs, nil
}

// Whole loads the run of a row with all its results.
func (r *Reader) Whole(row Record) (reports.Run, error) {
	run := row.Run
	if err := r.Measured(&run); err != nil {
		return reports.Run{}, err
	}
	if err := r.Benchmarks(&run); err != nil {
		return reports.Run{}, err
	}
	var err error
	if run.Origin, err = r.Origin(run.ID); err != nil {
		return reports.Run{}, err
	}
	if row.Rated {
		if run.Suites, err = r.Results(run.ID); err != nil {
			return reports.Run{}, err
		}
	}
	return run, nil
}

// Record is a row of table runs. Its Run has no results, measurements or benchmarks; [Reader.Whole]
// reads them.
type Record struct {
	reports.Run
	At            int64 // position in time, ns since 1970: see column at in migrations/0002_columns.sql
	Rated         bool  // has results of suites
	digest        string
	counts        reports.Counts
	suiteFailures int
	place         place
}

// place is the part of a run's origin that is stored in columns.
type place struct {
	base, cell    string
	fork, partial bool
}

// Line returns the run in the form that a trend uses.
func (r *Record) Line() RunLine {
	return RunLine{ID: r.ID, Digest: r.digest, Started: r.Started, Seconds: r.Seconds, Commit: r.Commit, Dirty: r.Dirty, Branch: r.Branch,
		Outcome: r.Outcome, Complete: r.Complete, Rated: r.Rated, Measured: !r.Rated && r.OnlyMeasured(), Counts: r.counts, Suites: r.suiteFailures,
		BaseBranch: r.place.base, Cell: r.place.cell, Fork: r.place.fork, Partial: r.place.partial}
}

// Rows reads rows of table runs. which is the end of the SQL statement, from WHERE or ORDER BY on.
func (r *Reader) Rows(which string, args ...any) ([]Record, error) {
	return collect(r.ctx, r.db, "SELECT id, "+runColumns+", runs.sum, coalesce(base_branch, ''), coalesce(cell, ''), coalesce(fork, 0), coalesce(partial, 0) FROM runs LEFT JOIN origins ON run_id = id "+which, args, scanRun)
}

func scanRun(rows *sql.Rows) (Record, error) {
	var (
		r                          Record
		same                       []byte
		started, dirty, has        int64
		exit, complete             int64
		facts, outcome             string
		sum                        int64
		passed, failed, skipped    int64
		pending, retried, failures int64
	)
	err := rows.Scan(&r.ID, &same, &r.At, &started, &r.Seconds, &r.Commit, &dirty, &r.Branch, &r.Command, &r.Key, &r.Format, &facts,
		&has, &r.SuiteError, &outcome, &exit, &complete, &passed, &failed, &skipped, &pending, &retried, &failures, &sum,
		&r.place.base, &r.place.cell, &r.place.fork, &r.place.partial)
	if err != nil {
		return r, err
	}
	if sum != checksum(same, r.At, started, r.Seconds, r.Commit, dirty, r.Branch, r.Command, r.Key, r.Format, facts,
		has, r.SuiteError, outcome, exit, complete, passed, failed, skipped, pending, retried, failures) {
		return r, fmt.Errorf("run %d: %w", r.ID, errSum)
	}
	r.Started, r.Dirty, r.Complete, r.ExitCode = fromNanos(started), dirty != 0, complete != 0, int(exit)
	r.Rated, r.suiteFailures = has != 0, int(failures)
	r.digest = hex.EncodeToString(same)[:min(digestLength, 2*len(same))]
	r.counts = reports.Counts{Passed: int(passed), Failed: int(failed), Skipped: int(skipped), Pending: int(pending), Retried: int(retried)}
	return r, errors.Join(unlist(facts, &r.Facts), r.Outcome.UnmarshalText([]byte(outcome)))
}

// Measured reads the comparisons and verdicts of a run into it, if it has any.
func (r *Reader) Measured(run *reports.Run) error {
	type row struct {
		comparisons, verdicts []byte
		sum                   int64
	}
	rows, err := collect(r.ctx, r.db, "SELECT comparisons, verdicts, sum FROM measurements WHERE run_id = ?", []any{run.ID}, func(rows *sql.Rows) (w row, err error) {
		err = rows.Scan(&w.comparisons, &w.verdicts, &w.sum)
		return w, err
	})
	if err != nil || len(rows) == 0 {
		return err
	}
	w := rows[0]
	if w.sum != checksum(run.ID, w.comparisons, w.verdicts) {
		return fmt.Errorf("measurements: %w", errSum)
	}
	comparisons, err := r.unpack(w.comparisons)
	if err != nil {
		return err
	}
	verdicts, err := r.unpack(w.verdicts)
	if err != nil {
		return err
	}
	return decodeMeasured(run, comparisons, verdicts)
}

// Benchmarks reads the figures of Go benchmarks of a run into it, if it has any.
func (r *Reader) Benchmarks(run *reports.Run) error {
	type row struct {
		figures []byte
		sum     int64
	}
	rows, err := collect(r.ctx, r.db, "SELECT figures, sum FROM benchmarks WHERE run_id = ?", []any{run.ID}, func(rows *sql.Rows) (w row, err error) {
		err = rows.Scan(&w.figures, &w.sum)
		return w, err
	})
	if err != nil || len(rows) == 0 {
		return err
	}
	if rows[0].sum != checksum(run.ID, rows[0].figures) {
		return fmt.Errorf("benchmarks: %w", errSum)
	}
	text, err := r.unpack(rows[0].figures)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &run.Benchmarks)
}

// Origin reads the origin of a run, or the zero value if it was not recorded.
func (r *Reader) Origin(run int64) (o reports.Origin, err error) {
	all, err := collect(r.ctx, r.db, "SELECT base_branch, cell, fork, partial, details, sum FROM origins WHERE run_id = ?", []any{run}, func(rows *sql.Rows) (text []byte, err error) {
		var base, cell string
		var fork, partial, sum int64
		if err := rows.Scan(&base, &cell, &fork, &partial, &text, &sum); err != nil {
			return nil, err
		}
		if sum != checksum(run, base, cell, fork, partial, text) {
			return nil, fmt.Errorf("origin of run %d: %w", run, errSum)
		}
		return text, nil
	})
	if err != nil || len(all) == 0 {
		return o, err
	}
	text, err := r.unpack(all[0])
	if err != nil {
		return o, err
	}
	return o, json.Unmarshal(text, &o)
}

// each runs a query and calls do for every row, so that only one row is in memory.
func each(ctx context.Context, db querier, query string, args []any, do func(*sql.Rows) error) (err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := do(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// collect runs a query and reads all rows, which releases the connection.
func collect[T any](ctx context.Context, db querier, query string, args []any, scan func(*sql.Rows) (T, error)) (all []T, err error) {
	err = each(ctx, db, query, args, func(rows *sql.Rows) error {
		one, err := scan(rows)
		if err != nil {
			return err
		}
		all = append(all, one)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func scanNumber(rows *sql.Rows) (n int64, err error) {
	err = rows.Scan(&n)
	return n, err
}

// RunLine is a run without its results.
type RunLine struct {
	ID       int64
	Digest   string // hex digits that identify the run in every copy of the history, as ID does not; "" if the run is not recorded
	Started  time.Time
	Seconds  float64
	Commit   string
	Dirty    bool
	Branch   string
	Outcome  thresholds.Outcome
	Complete bool
	Rated    bool // has results of suites, which Counts counts
	Measured bool // was to measure or compare only, see [reports.Run.OnlyMeasured]
	Counts   reports.Counts
	Suites   int // failures outside the specs

	BaseBranch string // as in [reports.Origin]
	Cell       string // [reports.Origin.Cell]
	Fork       bool
	Partial    bool // some tests were excluded
}
