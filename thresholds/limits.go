package thresholds

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
)

// MetricCounts is the metric of a limit of counters alone, for a workload whose time is not judged: see
// [harness.Workload.Untimed]. Such a limit has no baseline and no margin.
const MetricCounts = "counts"

// MetricCostRatio is the overhead ratio (W-N)/F: the cost of a run's saves in units of the floor
// arm.
const MetricCostRatio = "cost_ratio"

const (
	schema   = 1
	dateForm = time.DateOnly
)

// File holds the limits of one class of machine and the ledger of their changes.
type File struct {
	Schema int     `toml:"schema"`
	Class  string  `toml:"class"`
	Limits []Limit `toml:"limit"`
	Ledger []Entry `toml:"ledger"`
	Path   string  `toml:"-"`
}

// Limit is a calibrated upper bound for one metric of one workload.
type Limit struct {
	Workload   string  `toml:"workload"`
	Metric     string  `toml:"metric"`
	Durability string  `toml:"durability"`
	Baseline   float64 `toml:"baseline"` // upper tolerance bound of the unchanged program, in the unit of the metric
	Margin     float64 `toml:"margin"`   // slow-down to detect, a share: 0.1 is 10%
	Limit      float64 `toml:"limit"`    // baseline x (1 + margin)

	Counters   *harness.Counters `toml:"counters"` // upper bounds per run of the backend arm; nil for none
	Provenance Provenance        `toml:"provenance"`
}

// Boundary is the value that blocks are compared with, baseline x sqrt(1 + margin). On a
// logarithmic scale it lies halfway between the unchanged program and one that is slower by the
// margin.
func (l Limit) Boundary() float64 { return l.Baseline * math.Sqrt(1+l.Margin) }

func (l Limit) name() string { return l.Workload + " " + l.Metric + " at " + l.Durability }

// Provenance records how a limit was derived and proven.
type Provenance struct {
	Date        string              `toml:"date"`
	Commit      string              `toml:"commit"`
	Modules     []string            `toml:"modules,omitempty"` // modules of the measuring program, with versions
	Seed        uint64              `toml:"seed"`              // random seed
	Sessions    int                 `toml:"sessions"`
	Blocks      int                 `toml:"blocks"`
	Method      string              `toml:"method"`                  // method of the proof, such as "out-of-bag"
	Replays     int                 `toml:"replays"`                 // n of the following three rates
	NullHeld    float64             `toml:"null_held"`               // share of replays of the unchanged program that held
	NullBroken  float64             `toml:"null_broken"`             // share of replays of the unchanged program that broke: false alarms
	SlowBroken  float64             `toml:"slow_broken"`             // share of replays of the slowed program that broke
	Injected    float64             `toml:"injected"`                // measured size of the injected slow-down, a ratio
	CountsDate  string              `toml:"counts_date,omitempty"`   // of the counters, if they were derived later than the rest
	CountsOf    string              `toml:"counts_commit,omitempty"` // commit of the program that they were derived from
	Plan        harness.Plan        `toml:"plan"`
	Environment machine.Environment `toml:"environment"`
}

// Entry is the ledger entry of one change of a limit.
type Entry struct {
	Date       string  `toml:"date"`
	Change     Kind    `toml:"change"`
	Workload   string  `toml:"workload"`
	Metric     string  `toml:"metric"`
	Durability string  `toml:"durability"`
	From       float64 `toml:"from"`
	To         float64 `toml:"to"`
	Reason     string  `toml:"reason"`
	Expires    string  `toml:"expires"` // last day of a loosening, YYYY-MM-DD; "" for other changes

	ToBoundary float64 `toml:"to_boundary,omitempty"` // 0 in files of older versions

	// For a loosening, the previous boundary and counters.
	FromBoundary float64           `toml:"from_boundary,omitempty"` // 0 in files of older versions
	FromCounters *harness.Counters `toml:"from_counters"`
}

func (e *Entry) of(l *Limit) bool {
	return e.Workload == l.Workload && e.Metric == l.Metric && e.Durability == l.Durability
}

// LimitsError reports an invalid limits file, or one that cannot be read or written.
type LimitsError struct {
	Path string
	Err  error
}

func (e *LimitsError) Error() string {
	return fmt.Sprintf("limits file %s: %v", e.Path, e.Err)
}

func (e *LimitsError) Unwrap() error { return e.Err }

// Load reads the limits for a class of machine from its file in dir. If the file does not exist,
// it reads the limits of the most similar class, the one whose name shares the longest prefix of
// words. It returns nil and no error if dir contains no limits. Errors are of type
// [*LimitsError].
func Load(dir, class string) (*File, error) { return LoadFS(os.DirFS(dir), dir, class) }

// LoadFS is [Load] for a file system; dir is its name in messages.
func LoadFS(fsys fs.FS, dir, class string) (*File, error) {
	f, err := readFS(fsys, dir, class+".toml")
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if class == AnyClass {
		return nil, nil
	}
	others, err := fs.Glob(fsys, "*.toml")
	others = slices.DeleteFunc(others, func(name string) bool { return name == AnyClass+".toml" })
	if err != nil || len(others) == 0 {
		return nil, err
	}
	slices.SortFunc(others, func(a, b string) int {
		return cmp.Or(alike(b, class)-alike(a, class), cmp.Compare(a, b))
	})
	return readFS(fsys, dir, others[0])
}

// alike returns the number of leading words that two classes share.
func alike(a, b string) (n int) {
	x, y := strings.Split(strings.TrimSuffix(a, ".toml"), "-"), strings.Split(b, "-")
	for n < min(len(x), len(y)) && x[n] == y[n] {
		n++
	}
	return n
}

// Read reads and checks one limits file.
func Read(path string) (*File, error) {
	return readFS(os.DirFS(filepath.Dir(path)), filepath.Dir(path), filepath.Base(path))
}

func readFS(fsys fs.FS, dir, name string) (*File, error) {
	path := filepath.Join(dir, name)
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, &LimitsError{path, err}
	}
	f := &File{Path: path}
	dec := toml.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(f); err != nil {
		return nil, &LimitsError{path, explain(err)}
	}
	if err := f.check(); err != nil {
		return nil, &LimitsError{path, err}
	}
	// Limits of another class cannot break by time, so a changed class would disable a limit.
	if named := strings.TrimSuffix(name, ".toml"); f.Class != named {
		return nil, &LimitsError{path, fmt.Errorf("class %q differs from the file's name %q: limits must not be edited by hand: restore the file, or remove it", f.Class, named)}
	}
	return f, nil
}

// explain adds the line to errors of the decoder.
func explain(err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		row, _ := strict.Errors[0].Position()
		return fmt.Errorf("line %d: unknown key %q: remove it, or use the version of the program that wrote it", row, strings.Join(strict.Errors[0].Key(), "."))
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		row, column := bad.Position()
		return fmt.Errorf("line %d, column %d: %w", row, column, err)
	}
	return err
}

func (f *File) check() error {
	if f.Schema != schema {
		return fmt.Errorf("schema %d: this program reads %d", f.Schema, schema)
	}
	if f.Class == "" {
		return errors.New("no class: it names the kind of machine the limits are for")
	}
	seen := map[string]bool{}
	for _, l := range f.Limits {
		if seen[l.name()] {
			return fmt.Errorf("%s: duplicate limit", l.name())
		}
		seen[l.name()] = true
		if l.Metric == MetricCounts && f.Class != AnyClass {
			if l.Counters == nil || l.Baseline != 0 || l.Margin != 0 || l.Limit != 0 {
				return fmt.Errorf("%s: a limit of counts has counters, and neither baseline nor margin nor limit", l.name())
			}
		} else if err := f.checkValue(&l); err != nil {
			return err
		}
		if err := checkCounters(l.Counters); err != nil {
			return fmt.Errorf("%s: %w", l.name(), err)
		}
		if err := f.follows(&l); err != nil {
			return fmt.Errorf("%s: %w", l.name(), err)
		}
	}
	for _, e := range f.Ledger {
		if e.Change == Loosened || e.Expires != "" {
			if _, err := time.Parse(dateForm, e.Expires); err != nil || e.Reason == "" {
				return fmt.Errorf("ledger: loosening of %s on %s needs a reason and an expiry as YYYY-MM-DD", e.Workload, e.Date)
			}
		}
	}
	return nil
}

// checkValue checks a limit of one value.
func (f *File) checkValue(l *Limit) error {
	for name, v := range map[string]float64{"baseline": l.Baseline, "margin": l.Margin, "limit": l.Limit} {
		if !(v > 0) || math.IsInf(v, 0) {
			return fmt.Errorf("%s: %s is %v: use a positive, finite number", l.name(), name, v)
		}
	}
	metric := MetricCostRatio
	if f.Class == AnyClass {
		metric = MetricInstructions
	}
	if l.Metric != metric {
		return fmt.Errorf("%s: unknown metric: limits of class %s are of %s", l.name(), f.Class, metric)
	}
	if want := l.Baseline * (1 + l.Margin); math.Abs(l.Limit-want) > 1e-6*want {
		return fmt.Errorf("%s: limit %v does not follow from its baseline and margin (%.6f): limits must not be edited by hand: use flujo-harness calibrate",
			l.name(), l.Limit, want)
	}
	return nil
}

// follows returns an error if a limit differs from its newest ledger entry. A limit without an
// entry is accepted.
func (f *File) follows(l *Limit) error {
	for i := range slices.Backward(f.Ledger) {
		e := &f.Ledger[i]
		if !e.of(l) {
			continue
		}
		differs := func(a, b float64) bool { return !(math.Abs(a-b) <= 1e-9*math.Abs(b)) }
		switch {
		case e.Change == Dropped:
			return fmt.Errorf("limit %v, and the ledger says that it was dropped on %s: limits must not be edited by hand: use flujo-harness calibrate", l.Limit, e.Date)
		case differs(l.Limit, e.To):
			return fmt.Errorf("limit %v, and the newest entry of the ledger, of %s, made it %v: limits must not be edited by hand: use flujo-harness calibrate", l.Limit, e.Date, e.To)
		case e.ToBoundary != 0 && differs(l.Boundary(), e.ToBoundary):
			return fmt.Errorf("boundary %v, and the newest entry of the ledger, of %s, made it %v: limits must not be edited by hand: use flujo-harness calibrate", l.Boundary(), e.Date, e.ToBoundary)
		}
		return nil
	}
	return nil
}

// Find returns the limit for a workload, metric and durability, or nil. It points into f.Limits.
func (f *File) Find(workload, metric, durability string) *Limit {
	for i, l := range f.Limits {
		if l.Workload == workload && l.Metric == metric && l.Durability == durability {
			return &f.Limits[i]
		}
	}
	return nil
}

// Own returns the limit of (W-N)/F for a workload on a class of machine, or that of counts, if its time is
// not judged. It returns nil if f is nil, is for another class, or has no such limit.
func (f *File) Own(class, workload, durability string) *Limit {
	if f == nil || f.Class != class {
		return nil
	}
	if l := f.Find(workload, MetricCounts, durability); l != nil {
		return l
	}
	return f.Find(workload, MetricCostRatio, durability)
}

// tolerance returns the ledger entry whose expiry date applies to a limit that is looser than it
// once was, or nil if it is not looser. It is the latest entry with an expiry date. A loosening
// ends only when the limit is as tight as before it, however often it was calibrated since.
func (f *File) tolerance(l *Limit) *Entry {
	var latest *Entry
	looser := false
	for i := range f.Ledger {
		e := &f.Ledger[i]
		if !e.of(l) {
			continue
		}
		looser = looser || e.Change == Loosened && e.stands(l)
		if e.Expires != "" {
			latest = e
		}
	}
	if !looser {
		return nil
	}
	return latest
}

// stands reports whether a limit is still looser than before the loosening e.
func (e *Entry) stands(l *Limit) bool {
	rose, _ := moved(e.FromCounters, l.Counters)
	over := l.Boundary() > e.FromBoundary
	if e.FromBoundary == 0 {
		over = l.Limit > e.From
	}
	return over || len(rose) > 0
}

// Undone reports whether the limit of a loosening is now as tight as before it.
func (f *File) Undone(loosening Entry) bool {
	for i := range f.Limits {
		if l := &f.Limits[i]; loosening.of(l) {
			return !loosening.stands(l)
		}
	}
	return false
}

// expired returns the entry of a loosening whose expiry date has passed, or nil.
func (f *File) expired(l *Limit, now time.Time) *Entry {
	if e := f.tolerance(l); e != nil && now.UTC().Format(dateForm) > e.Expires {
		return e
	}
	return nil
}

// Save writes the file atomically. It returns a [*LimitsError] for invalid limits.
func (f *File) Save() error {
	if err := f.check(); err != nil {
		return &LimitsError{f.Path, err}
	}
	var out bytes.Buffer
	out.WriteString("# Written by flujo-harness calibrate. Not to be edited by hand.\n")
	enc := toml.NewEncoder(&out)
	if err := enc.Encode(f); err != nil {
		return &LimitsError{f.Path, err}
	}
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return &LimitsError{f.Path, err}
	}
	tmp := f.Path + ".new"
	if err := os.WriteFile(tmp, out.Bytes(), 0o644); err != nil {
		return &LimitsError{f.Path, errors.Join(err, os.Remove(tmp))}
	}
	if err := os.Rename(tmp, f.Path); err != nil {
		return &LimitsError{f.Path, err}
	}
	return nil
}
