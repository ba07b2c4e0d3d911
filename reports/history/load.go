package history

import (
	"bytes"
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

// Load returns the run of this number, or [ErrNoRun].
func (h *History) Load(ctx context.Context, id int64) (*reports.Run, error) {
	runs, err := h.load(ctx, "WHERE id = ?", id)
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, fmt.Errorf("load run %d of history %s: %w: the trend in the report of the latest run numbers them", id, h.path, ErrNoRun)
	}
	return &runs[0], nil
}

// Latest returns the last n runs with all their results, the newest first: in the
// order of their start, which need not be that in which they were appended.
func (h *History) Latest(ctx context.Context, n int) ([]reports.Run, error) {
	return h.load(ctx, "ORDER BY at DESC, id DESC LIMIT ?", max(0, n))
}

// Lines returns the last n runs without their results, the newest first, and how many
// older ones there are.
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

func (h *History) load(ctx context.Context, which string, args ...any) ([]reports.Run, error) {
	var runs []reports.Run
	err := h.Read(ctx, func(r *Reader) (err error) {
		runs, err = r.runs(which, args...)
		return err
	})
	return runs, err
}

// Read calls f with a reader of one state of the file, whatever is appended meanwhile.
// Errors of the database come back as this package's own, such as [*DamagedError].
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

// Count returns the number of runs for which a condition holds.
func (r *Reader) Count(which string, args ...any) (int64, error) {
	n, err := collect(r.ctx, r.db, "SELECT count(*) FROM runs WHERE "+which, args, scanNumber)
	if err != nil {
		return 0, err
	}
	return n[0], nil
}

// Pruned reports whether a run of this number was recorded and has been removed.
func (r *Reader) Pruned(run int64) (bool, error) {
	n, err := collect(r.ctx, r.db, "SELECT count(*) FROM sqlite_sequence WHERE name = 'runs' AND seq >= ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE id = ?1)", []any{run}, scanNumber)
	if err != nil {
		return false, err
	}
	return n[0] > 0, nil
}

// Reader reads rows within one transaction and proves the checksum of each.
type Reader struct {
	ctx context.Context
	db  querier
	inflater
	blobs map[int64][]byte
	Names map[int64]reports.Spec // only the texts
}

func newReader(ctx context.Context, db querier) *Reader {
	return &Reader{ctx: ctx, db: db, blobs: map[int64][]byte{}}
}

// runs are loaded whole.
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

// Whole adds to a row what is in the other tables.
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

// Record is a row of table runs.
type Record struct {
	reports.Run
	At            int64
	Rated         bool
	digest        string
	counts        reports.Counts
	suiteFailures int
	place         place
}

// place is the part of the origin of a run that is kept in columns.
type place struct {
	base, cell    string
	fork, partial bool
}

func (r *Record) Line() RunLine {
	return RunLine{ID: r.ID, Digest: r.digest, Started: r.Started, Seconds: r.Seconds, Commit: r.Commit, Dirty: r.Dirty, Branch: r.Branch,
		Outcome: r.Outcome, Complete: r.Complete, Rated: r.Rated, Counts: r.counts, Suites: r.suiteFailures,
		BaseBranch: r.place.base, Cell: r.place.cell, Fork: r.place.fork, Partial: r.place.partial}
}

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

// Origin reads where a run comes from; the zero value where that was not recorded.
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

// resultRow is a row of table results, still packed.
type resultRow struct {
	run                         int64
	outcomes, durations, suites []byte
}

func scanResults(rows *sql.Rows) (w resultRow, err error) {
	var sum int64
	if err := rows.Scan(&w.run, &w.outcomes, &w.durations, &w.suites, &sum); err != nil {
		return w, err
	}
	if sum != checksum(w.run, w.outcomes, w.durations, w.suites) {
		return w, fmt.Errorf("results of run %d: %w", w.run, errSum)
	}
	return w, nil
}

const selectResults = "SELECT run_id, outcomes, durations, suites, sum FROM results "

func (r *Reader) Results(run int64) (*reports.Results, error) {
	rows, err := collect(r.ctx, r.db, selectResults+"WHERE run_id = ?", []any{run}, scanResults)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("its results are missing: %w", errSum)
	}
	w := rows[0]
	content, err := r.unpack(w.suites)
	if err != nil {
		return nil, err
	}
	var out reports.Results
	if err := unlist(string(content), &out.Suites); err != nil {
		return nil, err
	}
	if content, err = r.unpack(w.outcomes); err != nil {
		return nil, err
	}
	o, err := unpackOutcomes(content)
	if err != nil {
		return nil, err
	}
	durations, err := r.durations(w, len(o.codes))
	if err != nil {
		return nil, err
	}
	out.Specs, err = r.specs(o, durations)
	return &out, err
}

func (r *Reader) durations(w resultRow, n int) ([]time.Duration, error) {
	content, err := r.unpack(w.durations)
	if err != nil {
		return nil, err
	}
	return unpackDurations(content, n)
}

// specs puts the columns together.
func (r *Reader) specs(o *outcomes, durations []time.Duration) ([]reports.Spec, error) {
	var all []reports.Spec
	for _, id := range o.rosters {
		content, err := r.blob(id)
		if err != nil {
			return nil, err
		}
		roster, err := unpackRoster(content)
		if err != nil {
			return nil, err
		}
		for i, name := range roster.ids {
			s, err := r.name(name)
			if err != nil {
				return nil, err
			}
			s.File, s.Line, s.Labels = roster.files[i], roster.lines[i], roster.labels[i]
			all = append(all, s)
		}
	}
	if len(all) != len(o.codes) {
		return nil, fmt.Errorf("%d specs and %d states: %w", len(all), len(o.codes), errSum)
	}
	for i := range all {
		s := &all[i]
		s.State, s.Retried = reports.States[o.codes[i]&^BothBit], o.codes[i]&BothBit != 0
		s.Attempts, s.Duration = o.attempts[i], durations[i]
	}
	for _, t := range o.details {
		text, err := r.blob(t.blob)
		if err != nil {
			return nil, err
		}
		s := &all[t.at]
		s.Detail = string(text)
		s.Retried = s.Retried && !s.BothWays()
	}
	for _, t := range o.messages {
		text, err := r.blob(t.blob)
		if err != nil {
			return nil, err
		}
		all[t.at].Message = string(text)
	}
	for _, t := range o.outputs {
		text, err := r.blob(t.blob)
		if err != nil {
			return nil, err
		}
		all[t.at].Output = string(text)
	}
	if o.order == nil {
		return all, nil
	}
	placed := make([]reports.Spec, len(all))
	for i, at := range o.order {
		placed[at] = all[i]
	}
	return placed, nil
}

// blob is shared content by its number.
func (r *Reader) blob(id int64) ([]byte, error) {
	if content, ok := r.blobs[id]; ok {
		return content, nil
	}
	type row struct{ digest, packed []byte }
	rows, err := collect(r.ctx, r.db, "SELECT digest, packed FROM blobs WHERE id = ?", []any{id}, func(rows *sql.Rows) (w row, err error) {
		err = rows.Scan(&w.digest, &w.packed)
		return w, err
	})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("shared content %d is missing: %w", id, errSum)
	}
	content, err := r.unpack(rows[0].packed)
	if err != nil || !bytes.Equal(digest(content), rows[0].digest) {
		return nil, errors.Join(fmt.Errorf("shared content %d: %w", id, errSum), err)
	}
	r.blobs[id] = content
	return content, nil
}

type name struct {
	id    int64
	key   string
	texts string
}

func scanName(rows *sql.Rows) (n name, err error) {
	var sum int64
	if err := rows.Scan(&n.id, &n.key, &n.texts, &sum); err != nil {
		return n, err
	}
	if sum != checksum(n.key, n.texts) {
		return n, fmt.Errorf("name %d: %w", n.id, errSum)
	}
	return n, nil
}

// name is a spec with its texts and nothing else.
func (r *Reader) name(id int64) (reports.Spec, error) {
	if err := r.ReadNames(); err != nil {
		return reports.Spec{}, err
	}
	s, ok := r.Names[id]
	if !ok {
		return reports.Spec{}, fmt.Errorf("name %d is missing: %w", id, errSum)
	}
	return s, nil
}

// ReadNames reads all names, once.
func (r *Reader) ReadNames() error {
	if r.Names != nil {
		return nil
	}
	all, err := collect(r.ctx, r.db, "SELECT id, key, texts, sum FROM names", nil, scanName)
	if err != nil {
		return err
	}
	r.Names = make(map[int64]reports.Spec, len(all))
	for _, n := range all {
		if r.Names[n.id], err = reports.DecodeTexts(n.texts); err != nil {
			return fmt.Errorf("name %d: %w", n.id, err)
		}
	}
	return nil
}

// collect runs a query to its end, so that no connection is held between two.
func collect[T any](ctx context.Context, db querier, query string, args []any, scan func(*sql.Rows) (T, error)) (all []T, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
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

func scanNumber(rows *sql.Rows) (n int64, err error) {
	err = rows.Scan(&n)
	return n, err
}

// RunLine is a run without its results.
type RunLine struct {
	ID       int64
	Digest   string // hex digits that name the run in every copy of the history, which ID does not; "" of a run that is not recorded
	Started  time.Time
	Seconds  float64
	Commit   string
	Dirty    bool
	Branch   string
	Outcome  thresholds.Outcome
	Complete bool
	Rated    bool // has results of suites: Counts are of them
	Counts   reports.Counts
	Suites   int // failures outside the specs

	BaseBranch string // as in [reports.Origin]
	Cell       string // [reports.Origin.Cell]
	Fork       bool
	Partial    bool // not all tests were asked for
}
