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

// MetricCostRatio is (W-N)/F: what a run pays for its saves, in units of the bare saves.
const MetricCostRatio = "cost_ratio"

const (
	schema   = 1
	dateForm = time.DateOnly
)

// File is the limits of one environment class, with the ledger of their changes.
type File struct {
	Schema int     `toml:"schema"`
	Class  string  `toml:"class"`
	Limits []Limit `toml:"limit"`
	Ledger []Entry `toml:"ledger"`
	Path   string  `toml:"-"`
}

// Limit is a calibrated ceiling on one metric of one workload.
type Limit struct {
	Workload   string  `toml:"workload"`
	Metric     string  `toml:"metric"`
	Durability string  `toml:"durability"`
	Baseline   float64 `toml:"baseline"` // upper tolerance bound of the unchanged program
	Margin     float64 `toml:"margin"`   // share, 0.1 is 10%
	Limit      float64 `toml:"limit"`    // baseline x (1 + margin)

	Counters   *harness.Counters `toml:"counters"` // of one run of the backend arm, each exact; nil: not limited
	Provenance Provenance        `toml:"provenance"`
}

// Boundary is what single blocks are compared with: as far above an unchanged
// program as below one that is slower by the margin.
func (l Limit) Boundary() float64 { return l.Baseline * math.Sqrt(1+l.Margin) }

func (l Limit) name() string { return l.Workload + " " + l.Metric + " at " + l.Durability }

// Provenance says how a limit came about and what proves it.
type Provenance struct {
	Date        string              `toml:"date"`
	Commit      string              `toml:"commit"`
	Modules     []string            `toml:"modules,omitempty"` // of the program that measured, with versions
	Seed        uint64              `toml:"seed"`
	Sessions    int                 `toml:"sessions"`
	Blocks      int                 `toml:"blocks"`
	Method      string              `toml:"method"`      // of the proof; "" in files from before there was a second
	Replays     int                 `toml:"replays"`     // n of the three rates below
	NullHeld    float64             `toml:"null_held"`   // share of replays of the unchanged program that held
	NullBroken  float64             `toml:"null_broken"` // share that broke, though nothing differed
	SlowBroken  float64             `toml:"slow_broken"` // share of replays of the slowed program that broke
	Injected    float64             `toml:"injected"`    // what the injected slow-down measured as, a ratio
	Plan        harness.Plan        `toml:"plan"`
	Environment machine.Environment `toml:"environment"`
}

// Entry is one change of a limit.
type Entry struct {
	Date       string  `toml:"date"`
	Change     Kind    `toml:"change"`
	Workload   string  `toml:"workload"`
	Metric     string  `toml:"metric"`
	Durability string  `toml:"durability"`
	From       float64 `toml:"from"`
	To         float64 `toml:"to"`
	Reason     string  `toml:"reason"`
	Expires    string  `toml:"expires"` // of a loosening, and of an extension of one: a date

	ToBoundary float64 `toml:"to_boundary,omitempty"` // 0 in files from before it was kept

	// Of a loosening: what held before it.
	FromBoundary float64           `toml:"from_boundary,omitempty"` // 0 in files from before it was kept
	FromCounters *harness.Counters `toml:"from_counters"`
}

func (e *Entry) of(l *Limit) bool {
	return e.Workload == l.Workload && e.Metric == l.Metric && e.Durability == l.Durability
}

// LimitsError is a limits file that cannot be used.
type LimitsError struct {
	Path string
	Err  error
}

func (e *LimitsError) Error() string {
	return fmt.Sprintf("limits file %s: %v", e.Path, e.Err)
}

func (e *LimitsError) Unwrap() error { return e.Err }

// Load reads the limits for a class from its file in dir, or, where there is none,
// those of the class that is most like it. It returns nil and no error where dir
// has no limits at all. Errors are a [*LimitsError].
func Load(dir, class string) (*File, error) { return LoadFS(os.DirFS(dir), dir, class) }

// LoadFS is [Load] for a folder of another kind, which messages call dir.
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

// alike counts the words that two classes begin with alike.
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
	// By limits of another class nothing breaks by time: one word must not do that.
	if named := strings.TrimSuffix(name, ".toml"); f.Class != named {
		return nil, &LimitsError{path, fmt.Errorf("it is of class %q, and by its name of %q: limits are not edited by hand: restore the file, or remove it", f.Class, named)}
	}
	return f, nil
}

// explain gives the decoder's errors their line.
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
			return fmt.Errorf("%s: given twice", l.name())
		}
		seen[l.name()] = true
		for name, v := range map[string]float64{"baseline": l.Baseline, "margin": l.Margin, "limit": l.Limit} {
			if !(v > 0) || math.IsInf(v, 0) {
				return fmt.Errorf("%s: %s is %v: a positive, finite number is needed", l.name(), name, v)
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
			return fmt.Errorf("%s: limit %v does not follow from its baseline and margin (%.6f): limits are not edited by hand: use flujo-harness calibrate",
				l.name(), l.Limit, want)
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

// follows reports where a limit is not what the newest entry of its ledger made it. A limit
// without an entry is from a file that was written by hand or has no ledger.
func (f *File) follows(l *Limit) error {
	for i := range slices.Backward(f.Ledger) {
		e := &f.Ledger[i]
		if !e.of(l) {
			continue
		}
		differs := func(a, b float64) bool { return !(math.Abs(a-b) <= 1e-9*math.Abs(b)) }
		switch {
		case e.Change == Dropped:
			return fmt.Errorf("limit %v, and the ledger says that it was dropped on %s: limits are not edited by hand: use flujo-harness calibrate", l.Limit, e.Date)
		case differs(l.Limit, e.To):
			return fmt.Errorf("limit %v, and the newest entry of the ledger, of %s, made it %v: limits are not edited by hand: use flujo-harness calibrate", l.Limit, e.Date, e.To)
		case e.ToBoundary != 0 && differs(l.Boundary(), e.ToBoundary):
			return fmt.Errorf("boundary %v, and the newest entry of the ledger, of %s, made it %v: limits are not edited by hand: use flujo-harness calibrate", l.Boundary(), e.Date, e.ToBoundary)
		}
		return nil
	}
	return nil
}

// Find returns a limit, nil where there is none.
func (f *File) Find(workload, metric, durability string) *Limit {
	for i, l := range f.Limits {
		if l.Workload == workload && l.Metric == metric && l.Durability == durability {
			return &f.Limits[i]
		}
	}
	return nil
}

// Own returns the limit of (W-N)/F that a workload has on a class of machines. It is nil where
// there is no file, where it is of another class, and where it has none.
func (f *File) Own(class, workload, durability string) *Limit {
	if f == nil || f.Class != class {
		return nil
	}
	return f.Find(workload, MetricCostRatio, durability)
}

// tolerance returns the entry that says until when a limit may stay looser than it
// was, nil where it is not looser. It is the latest entry with an expiry: a loosening
// stays one until the limit is again as tight as before, however often it was
// calibrated since.
func (f *File) tolerance(l *Limit) *Entry {
	var latest *Entry
	looser := false
	for i := range f.Ledger {
		e := &f.Ledger[i]
		if !e.of(l) {
			continue
		}
		if e.Change == Loosened {
			rose, _ := moved(e.FromCounters, l.Counters)
			over := l.Boundary() > e.FromBoundary
			if e.FromBoundary == 0 {
				over = l.Limit > e.From
			}
			looser = looser || over || len(rose) > 0
		}
		if e.Expires != "" {
			latest = e
		}
	}
	if !looser {
		return nil
	}
	return latest
}

// expired returns the entry that tolerated a loosening, if its time is over.
func (f *File) expired(l *Limit, now time.Time) *Entry {
	if e := f.tolerance(l); e != nil && now.UTC().Format(dateForm) > e.Expires {
		return e
	}
	return nil
}

// Save writes the file, whole or not at all.
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
