package reports

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/flujo/flujo-harness/thresholds"
)

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Load returns the run of this number, or [ErrNoRun].
func (h *History) Load(ctx context.Context, id int64) (*Run, error) {
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
func (h *History) Latest(ctx context.Context, n int) ([]Run, error) {
	return h.load(ctx, "ORDER BY at DESC, id DESC LIMIT ?", max(0, n))
}

// Lines returns the last n runs without their results, the newest first, and how many
// older ones there are.
func (h *History) Lines(ctx context.Context, n int) (lines []RunLine, older int, err error) {
	rows, err := newReader(ctx, h.db).rows("ORDER BY at DESC, id DESC LIMIT ?", max(0, n))
	if err != nil {
		return nil, 0, h.explain("read", err)
	}
	for i := range rows {
		lines = append(lines, rows[i].line())
	}
	var all int
	if err := h.db.QueryRowContext(ctx, "SELECT count(*) FROM runs").Scan(&all); err != nil {
		return nil, 0, h.explain("read", err)
	}
	return lines, max(0, all-len(lines)), nil
}

func (h *History) load(ctx context.Context, which string, args ...any) ([]Run, error) {
	var runs []Run
	err := h.read(ctx, func(r *reader) (err error) {
		runs, err = r.runs(which, args...)
		return err
	})
	return runs, err
}

// read calls f with a reader of one state of the file, whatever is appended meanwhile.
// Errors of the database come back as this package's own, such as [*DamagedError].
func (h *History) read(ctx context.Context, f func(*reader) error) error {
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

// count returns the number of runs for which a condition holds.
func (r *reader) count(which string, args ...any) (int64, error) {
	n, err := collect(r.ctx, r.db, "SELECT count(*) FROM runs WHERE "+which, args, scanNumber)
	if err != nil {
		return 0, err
	}
	return n[0], nil
}

// pruned reports whether a run of this number was recorded and has been removed.
func (r *reader) pruned(run int64) (bool, error) {
	n, err := collect(r.ctx, r.db, "SELECT count(*) FROM sqlite_sequence WHERE name = 'runs' AND seq >= ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE id = ?1)", []any{run}, scanNumber)
	if err != nil {
		return false, err
	}
	return n[0] > 0, nil
}

// reader reads rows within one transaction and proves the checksum of each.
type reader struct {
	ctx context.Context
	db  querier
	inflater
	blobs map[int64][]byte
	names map[int64]Spec // only the texts
}

func newReader(ctx context.Context, db querier) *reader {
	return &reader{ctx: ctx, db: db, blobs: map[int64][]byte{}}
}

// runs are loaded whole.
func (r *reader) runs(which string, args ...any) ([]Run, error) {
	rows, err := r.rows(which, args...)
	if err != nil {
		return nil, err
	}
	runs := make([]Run, len(rows))
	for i := range rows {
		if runs[i], err = r.whole(rows[i]); err != nil {
			return nil, fmt.Errorf("run %d: %w", rows[i].ID, err)
		}
	}
	return runs, nil
}

// whole adds to a row what is in the other tables.
func (r *reader) whole(row runRecord) (Run, error) {
	run := row.Run
	if err := r.measured(&run); err != nil {
		return Run{}, err
	}
	if err := r.benchmarks(&run); err != nil {
		return Run{}, err
	}
	if row.rated {
		var err error
		if run.Suites, err = r.results(run.ID); err != nil {
			return Run{}, err
		}
	}
	return run, nil
}

// runRecord is a row of table runs.
type runRecord struct {
	Run
	at            int64
	rated         bool
	counts        Counts
	suiteFailures int
}

func (r *runRecord) line() RunLine {
	return RunLine{ID: r.ID, Started: r.Started, Seconds: r.Seconds, Commit: r.Commit, Dirty: r.Dirty, Branch: r.Branch,
		Outcome: r.Outcome, Complete: r.Complete, Rated: r.rated, Counts: r.counts, Suites: r.suiteFailures}
}

func (r *reader) rows(which string, args ...any) ([]runRecord, error) {
	return collect(r.ctx, r.db, "SELECT id, "+runColumns+", sum FROM runs "+which, args, scanRun)
}

func scanRun(rows *sql.Rows) (runRecord, error) {
	var (
		r                          runRecord
		same                       []byte
		started, dirty, has        int64
		exit, complete             int64
		facts, outcome             string
		sum                        int64
		passed, failed, skipped    int64
		pending, retried, failures int64
	)
	err := rows.Scan(&r.ID, &same, &r.at, &started, &r.Seconds, &r.Commit, &dirty, &r.Branch, &r.Command, &r.Key, &r.Format, &facts,
		&has, &r.SuiteError, &outcome, &exit, &complete, &passed, &failed, &skipped, &pending, &retried, &failures, &sum)
	if err != nil {
		return r, err
	}
	if sum != checksum(same, r.at, started, r.Seconds, r.Commit, dirty, r.Branch, r.Command, r.Key, r.Format, facts,
		has, r.SuiteError, outcome, exit, complete, passed, failed, skipped, pending, retried, failures) {
		return r, fmt.Errorf("run %d: %w", r.ID, errSum)
	}
	r.Started, r.Dirty, r.Complete, r.ExitCode = fromNanos(started), dirty != 0, complete != 0, int(exit)
	r.rated, r.suiteFailures = has != 0, int(failures)
	r.counts = Counts{Passed: int(passed), Failed: int(failed), Skipped: int(skipped), Pending: int(pending), Retried: int(retried)}
	return r, errors.Join(unlist(facts, &r.Facts), r.Outcome.UnmarshalText([]byte(outcome)))
}

func (r *reader) measured(run *Run) error {
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

func (r *reader) benchmarks(run *Run) error {
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

func (r *reader) results(run int64) (*Results, error) {
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
	var out Results
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

func (r *reader) durations(w resultRow, n int) ([]time.Duration, error) {
	content, err := r.unpack(w.durations)
	if err != nil {
		return nil, err
	}
	return unpackDurations(content, n)
}

// specs puts the columns together.
func (r *reader) specs(o *outcomes, durations []time.Duration) ([]Spec, error) {
	var all []Spec
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
		s.State, s.Retried = states[o.codes[i]&^bothBit], o.codes[i]&bothBit != 0
		s.Attempts, s.Duration = o.attempts[i], durations[i]
	}
	for _, t := range o.details {
		text, err := r.blob(t.blob)
		if err != nil {
			return nil, err
		}
		s := &all[t.at]
		s.Detail = string(text)
		s.Retried = s.Retried && !s.bothWays()
	}
	for _, t := range o.messages {
		text, err := r.blob(t.blob)
		if err != nil {
			return nil, err
		}
		all[t.at].Message = string(text)
	}
	if o.order == nil {
		return all, nil
	}
	placed := make([]Spec, len(all))
	for i, at := range o.order {
		placed[at] = all[i]
	}
	return placed, nil
}

// blob is shared content by its number.
func (r *reader) blob(id int64) ([]byte, error) {
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
func (r *reader) name(id int64) (Spec, error) {
	if err := r.readNames(); err != nil {
		return Spec{}, err
	}
	s, ok := r.names[id]
	if !ok {
		return Spec{}, fmt.Errorf("name %d is missing: %w", id, errSum)
	}
	return s, nil
}

// readNames reads all names, once.
func (r *reader) readNames() error {
	if r.names != nil {
		return nil
	}
	all, err := collect(r.ctx, r.db, "SELECT id, key, texts, sum FROM names", nil, scanName)
	if err != nil {
		return err
	}
	r.names = make(map[int64]Spec, len(all))
	for _, n := range all {
		if r.names[n.id], err = decodeTexts(n.texts); err != nil {
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
	Started  time.Time
	Seconds  float64
	Commit   string
	Dirty    bool
	Branch   string
	Outcome  thresholds.Outcome
	Complete bool
	Rated    bool // has results of suites: Counts are of them
	Counts   Counts
	Suites   int // failures outside the specs
}
