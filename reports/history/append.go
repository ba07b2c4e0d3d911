package history

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/thresholds"
)

// Appended is the result of [History.Append].
type Appended struct {
	ID    int64 // ID of the run
	Known bool  // the history already contained the run, and nothing was added
}

// Append adds a run, with secrets removed; it ignores r.ID. A run that the history already contains
// is not added again. Two runs are equal if all their content is, or, if they have a Key, if the
// keys and the results are. A job that runs again with other results is therefore a second run and
// never replaces the first. Append is atomic. Cancelling ctx does not stop it, so that interrupted
// runs are recorded, too.
func (h *History) Append(ctx context.Context, r reports.Run) (Appended, error) {
	ctx = context.WithoutCancel(ctx)
	r = h.censor.Run(r)
	tx, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return Appended{}, h.explain("append to", err)
	}
	defer tx.Rollback()
	added, err := appendRun(ctx, tx, r)
	if err != nil {
		return Appended{}, h.explain("append to", err)
	}
	if err := tx.Commit(); err != nil {
		return Appended{}, h.explain("append to", err)
	}
	return added, nil
}

func appendRun(ctx context.Context, tx *sql.Tx, r reports.Run) (Appended, error) {
	comparisons, verdicts, err := encodeMeasured(r)
	if err != nil {
		return Appended{}, err
	}
	same, err := identity(r, comparisons, verdicts)
	if err != nil {
		return Appended{}, err
	}
	known, err := collect(ctx, tx, "SELECT id FROM runs WHERE digest = ?", []any{same}, scanNumber)
	if err != nil {
		return Appended{}, err
	}
	if len(known) > 0 {
		return Appended{ID: known[0], Known: true}, nil
	}
	w := rowWriter{ctx: ctx, tx: tx}
	row, err := runRow(ctx, tx, r, same)
	if err != nil {
		return Appended{}, err
	}
	id, err := w.insertRun(row)
	if err != nil {
		return Appended{}, err
	}
	if r.Suites != nil {
		if err := w.insertResults(id, r.Suites); err != nil {
			return Appended{}, err
		}
	}
	if len(r.Comparisons)+len(r.Verdicts) > 0 {
		if err := w.insertMeasured(id, comparisons, verdicts); err != nil {
			return Appended{}, err
		}
	}
	if len(r.Benchmarks) > 0 {
		if err := w.insertBenchmarks(id, r.Benchmarks); err != nil {
			return Appended{}, err
		}
	}
	if err := w.insertOrigin(id, r.Origin); err != nil {
		return Appended{}, err
	}
	return Appended{ID: id}, nil
}

// identity returns the digest by which duplicate runs are recognised, a SHA-256 of the run's JSON.
// The JSON is written in pieces, because as a whole it would be larger than the run.
func identity(r reports.Run, comparisons, verdicts string) ([]byte, error) {
	r.ID, r.Suites = 0, withoutAttachments(r.Suites)
	d := digester{sum: sha256.New()}
	if r.Key == "" {
		d.value(r)
		return d.sum.Sum(nil), d.err
	}
	d.text("[")
	d.value(r.Key)
	d.text(",")
	d.results(r.Suites)
	for _, text := range []string{r.SuiteError, comparisons, verdicts} {
		d.text(",")
		d.value(text)
	}
	if len(r.Benchmarks) > 0 {
		d.text(",")
		d.value(r.Benchmarks)
	}
	d.text("]")
	return d.sum.Sum(nil), d.err
}

// withoutAttachments returns results without attachments. Whether their files were found depends on
// where and when the results were read, and results that are read again must be the same run.
func withoutAttachments(r *reports.Results) *reports.Results {
	if r == nil || !slices.ContainsFunc(r.Specs, func(s reports.Spec) bool { return s.Attachments != nil }) {
		return r
	}
	bare := *r
	bare.Specs = slices.Clone(r.Specs)
	for i := range bare.Specs {
		bare.Specs[i].Attachments = nil
	}
	return &bare
}

// digester computes the digest of JSON that is written in pieces.
type digester struct {
	sum hash.Hash
	err error // first error
}

func (d *digester) text(s string) { d.sum.Write([]byte(s)) }

func (d *digester) value(v any) {
	text, err := json.Marshal(v)
	d.sum.Write(text)
	d.err = cmp.Or(d.err, err)
}

// results writes the same JSON as [json.Marshal].
func (d *digester) results(r *reports.Results) {
	if r == nil || r.Specs == nil {
		d.value(r)
		return
	}
	d.text(`{"Suites":`)
	d.value(r.Suites)
	d.text(`,"Specs":[`)
	for i := range r.Specs {
		if i > 0 {
			d.text(",")
		}
		d.value(&r.Specs[i])
	}
	d.text(`],"Measured":`)
	d.value(r.Measured)
	d.text("}")
}

// encodeMeasured encodes measurements. Values that JSON cannot represent, such as NaN, are errors.
func encodeMeasured(r reports.Run) (comparisons, verdicts string, err error) {
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

// runColumns lists the columns of table runs except id and sum, in the order of runRow.
const runColumns = `digest, at, started, seconds, commit_id, dirty, branch, command, key, format, facts,
	has_suites, suite_error, outcome, exit_code, complete, passed, failed, skipped, pending, retried, suite_failures`

// clockError is the difference between the clocks of two machines that is tolerated.
const clockError = time.Hour

func runRow(ctx context.Context, tx *sql.Tx, r reports.Run, same []byte) ([]any, error) {
	at := nanos(r.Started)
	newest, err := collect(ctx, tx, "SELECT coalesce(max(at), 0) FROM runs", nil, scanNumber)
	if err != nil {
		return nil, err
	}
	// A run of unknown start is placed after all others. So is every run once the history contains
	// one from the future (of a machine with a wrong clock): otherwise that one would remain the
	// newest, and reports would show it instead of the run just recorded.
	if at == 0 || r.Undated || newest[0] > time.Now().Add(clockError).UnixNano() {
		at = max(at, newest[0]+1)
	}
	facts, err := list(r.Facts)
	if err != nil {
		return nil, err
	}
	var c reports.Counts
	failures := 0
	if r.Suites != nil {
		c, failures = r.Suites.Counts(), r.Suites.SuiteFailures()
	}
	return []any{same, at, nanos(r.Started), r.Seconds, r.Commit, bit(r.Dirty), r.Branch, r.Command, r.Key, r.Format, facts,
		bit(r.Suites != nil), r.SuiteError, r.Outcome.String(), int64(r.ExitCode), bit(r.Complete),
		int64(c.Passed), int64(c.Failed), int64(c.Skipped), int64(c.Pending), int64(c.Retried), int64(failures)}, nil
}

// bit converts a bool to SQLite's representation.
func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// rowWriter writes the rows of one run.
type rowWriter struct {
	ctx context.Context
	tx  *sql.Tx
	deflater
}

func (w *rowWriter) insertRun(row []any) (id int64, err error) {
	err = w.tx.QueryRowContext(w.ctx, `INSERT INTO runs (`+runColumns+`, sum)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		append(slices.Clip(row), checksum(row...))...).Scan(&id)
	return id, err
}

func (w *rowWriter) insertMeasured(run int64, comparisons, verdicts string) error {
	cs, err := w.pack([]byte(comparisons))
	if err != nil {
		return err
	}
	vs, err := w.pack([]byte(verdicts))
	if err != nil {
		return err
	}
	_, err = w.tx.ExecContext(w.ctx, "INSERT INTO measurements (run_id, comparisons, verdicts, sum) VALUES (?, ?, ?, ?)",
		run, cs, vs, checksum(run, cs, vs))
	return err
}

func (w *rowWriter) insertBenchmarks(run int64, all []reports.Benchmark) error {
	text, err := list(all)
	if err != nil {
		return fmt.Errorf("benchmarks: %w", err)
	}
	figures, err := w.pack([]byte(text))
	if err != nil {
		return err
	}
	_, err = w.tx.ExecContext(w.ctx, "INSERT INTO benchmarks (run_id, figures, sum) VALUES (?, ?, ?)", run, figures, checksum(run, figures))
	return err
}

func (w *rowWriter) insertResults(run int64, r *reports.Results) error {
	ids, err := w.nameAll(r.Specs)
	if err != nil {
		return err
	}
	order, kept := sorted(ids)
	o := outcomes{order: kept}
	if o.rosters, err = w.rosters(r.Specs, ids, order); err != nil {
		return err
	}
	durations := make([]time.Duration, len(order))
	for i, at := range order {
		s := &r.Specs[at]
		code := slices.Index(reports.States, s.State)
		if code < 0 {
			return fmt.Errorf("spec %q has the state %q, which a history cannot store", s.Name(), s.State)
		}
		if s.Attempts > math.MaxInt32 { // larger values could not be unpacked
			return fmt.Errorf("spec %q has %d attempts, more than a history can store", s.Name(), s.Attempts)
		}
		if s.Retried || s.BothWays() {
			code |= BothBit
		}
		o.codes = append(o.codes, byte(code))
		o.attempts = append(o.attempts, max(0, s.Attempts))
		durations[i] = s.Duration
		attached := ""
		if len(s.Attachments) > 0 {
			if attached, err = list(s.Attachments); err != nil {
				return err
			}
		}
		for _, text := range []struct {
			s    string
			into *[]sparse
		}{{s.Detail, &o.details}, {s.Message, &o.messages}, {s.Output, &o.outputs}, {attached, &o.attached}} {
			if text.s == "" {
				continue
			}
			blob, err := w.blob([]byte(text.s))
			if err != nil {
				return err
			}
			*text.into = append(*text.into, sparse{i, blob})
		}
	}
	suites, err := list(r.Suites)
	if err != nil {
		return err
	}
	packed := make([][]byte, 3)
	for i, content := range [][]byte{o.pack(), packDurations(durations), []byte(suites)} {
		if packed[i], err = w.pack(content); err != nil {
			return err
		}
	}
	_, err = w.tx.ExecContext(w.ctx, "INSERT INTO results (run_id, outcomes, durations, suites, sum) VALUES (?, ?, ?, ?, ?)",
		run, packed[0], packed[1], packed[2], checksum(run, packed[0], packed[1], packed[2]))
	return err
}

// namesAtOnce is the number of new names per INSERT statement. A file of results may contain a
// million, and SQLite limits the parameters of a statement to 32766.
const namesAtOnce = 100

// nameAll returns the ID of each spec's name, and assigns IDs to new names.
func (w *rowWriter) nameAll(specs []reports.Spec) ([]int64, error) {
	highest, err := collect(w.ctx, w.tx, "SELECT coalesce(max(id), 0) FROM names", nil, scanNumber)
	if err != nil {
		return nil, err
	}
	last := highest[0]
	free, err := w.knownNames(specs, last) // names that no spec of the run has taken
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(specs))
	var fresh []any // id, key, texts, sum of each
	for i := range specs {
		key := specs[i].Key()
		id, ok := free[key]
		delete(free, key)
		if !ok {
			last++
			id = last
			texts := specs[i].EncodeTexts()
			fresh = append(fresh, id, key, texts, checksum(key, texts))
		}
		ids[i] = id
		if len(fresh) == 4*namesAtOnce || i == len(specs)-1 && len(fresh) > 0 {
			if err := w.insertNames(specs, fresh); err != nil {
				return nil, err
			}
			fresh = fresh[:0]
		}
	}
	return ids, nil
}

// knownNames returns the IDs of existing names. all is the approximate size of the table: for few
// specs it looks up each name, for many it reads the whole table.
func (w *rowWriter) knownNames(specs []reports.Spec, all int64) (map[string]int64, error) {
	free := make(map[string]int64, len(specs))
	take := func(query string, args ...any) error {
		known, err := collect(w.ctx, w.tx, "SELECT id, key, texts, sum FROM names"+query, args, scanName)
		for _, n := range known {
			free[n.key] = n.id
		}
		return err
	}
	if int64(len(specs)) > all/8 {
		return free, take("")
	}
	for some := range slices.Chunk(specs, namesAtOnce) {
		keys := make([]any, len(some))
		for i := range some {
			keys[i] = some[i].Key()
		}
		if err := take(" WHERE key IN (?"+strings.Repeat(", ?", len(keys)-1)+")", keys...); err != nil {
			return nil, err
		}
	}
	return free, nil
}

// insertNames inserts new names: four values in rows for each. A conflict of keys is an error, which
// names the spec of specs that occurs twice.
func (w *rowWriter) insertNames(specs []reports.Spec, rows []any) error {
	n := len(rows) / 4
	done, err := w.tx.ExecContext(w.ctx, "INSERT INTO names (id, key, texts, sum) VALUES (?, ?, ?, ?)"+strings.Repeat(", (?, ?, ?, ?)", n-1)+
		" ON CONFLICT (key) DO NOTHING", rows...)
	if err != nil {
		return fmt.Errorf("names of %d specs: %w", n, err)
	}
	if written, err := done.RowsAffected(); err != nil || written == int64(n) {
		return err
	}
	seen := map[string]bool{}
	for i := range specs {
		key := specs[i].Key()
		if seen[key] {
			return fmt.Errorf("spec %q occurs twice in one run: set Occurrence of the second one", specs[i].Name())
		}
		seen[key] = true
	}
	return fmt.Errorf("names of %d specs: another row of table names has one of their keys", n)
}

// rosters writes the data that runs share and returns the IDs of the blobs.
func (w *rowWriter) rosters(specs []reports.Spec, ids []int64, order []int) (blobs []int64, err error) {
	var r roster
	flush := func() error {
		if len(r.ids) == 0 {
			return nil
		}
		content, err := r.pack()
		if err != nil {
			return err
		}
		blob, err := w.blob(content)
		blobs, r = append(blobs, blob), roster{}
		return err
	}
	for i, at := range order {
		if i > 0 && ids[at]/rosterSpan != ids[order[i-1]]/rosterSpan {
			if err := flush(); err != nil {
				return nil, err
			}
		}
		s := &specs[at]
		r.ids = append(r.ids, ids[at])
		r.files = append(r.files, s.File)
		r.lines = append(r.lines, s.Line)
		r.labels = append(r.labels, s.Labels)
	}
	return blobs, flush()
}

// blob returns the ID of a content and inserts it if it is new.
func (w *rowWriter) blob(content []byte) (id int64, err error) {
	sum := digest(content)
	err = w.tx.QueryRowContext(w.ctx, "SELECT id FROM blobs WHERE digest = ?", sum).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	packed, err := w.pack(content)
	if err != nil {
		return 0, err
	}
	err = w.tx.QueryRowContext(w.ctx, "INSERT INTO blobs (digest, packed) VALUES (?, ?) RETURNING id", sum, packed).Scan(&id)
	return id, err
}

// nanos returns a time as nanoseconds since 1970, or 0 for the zero time.
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
