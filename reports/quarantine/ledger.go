package quarantine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports"
)

// DefaultMax is the most entries of a ledger that does not say how many it may have.
const DefaultMax = 20

// MaxAge is the longest time that an entry may be given, in days: what is not mended by then
// is looked at again.
const MaxAge = 90

// Ledger is the specs in quarantine. A nil ledger is empty.
type Ledger struct {
	Path    string  `toml:"-"`
	Max     int     `toml:"max,omitempty"` // most entries; 0: [DefaultMax]
	Entries []Entry `toml:"quarantine"`
}

// Entry is one spec. Days are written as 2006-01-02, in UTC.
type Entry struct {
	Suite   string `toml:"suite"` // as in [reports.Spec]
	Spec    string `toml:"spec"`  // its texts in one, separated by single spaces
	Owner   string `toml:"owner"` // who mends it
	Reason  string `toml:"reason"`
	Added   string `toml:"added"`
	Expires string `toml:"expires"` // the last day on which it is covered
}

// Error is a ledger that cannot be used.
type Error struct {
	Path string
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("quarantine %s: %v", e.Path, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Read reads a ledger; a file that does not exist is an empty one. Unknown keys, entries
// without an owner or a reason, entries of one spec, and more entries than the cap are
// errors: the error is an [*Error].
func Read(path string) (*Ledger, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Ledger{Path: path}, nil
	}
	if err != nil {
		return nil, &Error{path, err}
	}
	return Parse(path, content)
}

// Parse reads a ledger from TOML, which messages call path.
func Parse(path string, content []byte) (*Ledger, error) {
	l := Ledger{Path: path}
	err := toml.NewDecoder(bytes.NewReader(content)).DisallowUnknownFields().Decode(&l)
	var strict *toml.StrictMissingError
	var place *toml.DecodeError
	switch {
	case errors.As(err, &strict):
		err = fmt.Errorf("unknown key:\n%s", strict.String())
	case errors.As(err, &place):
		row, _ := place.Position()
		err = fmt.Errorf("line %d: %w", row, err)
	}
	if err == nil {
		err = l.check()
	}
	if err != nil {
		return nil, &Error{path, err}
	}
	return &l, nil
}

// cap is the most entries.
func (l *Ledger) cap() int {
	if l.Max > 0 {
		return l.Max
	}
	return DefaultMax
}

func (l *Ledger) check() error {
	if l.Max < 0 {
		return fmt.Errorf("max = %d: give a number of entries above 0", l.Max)
	}
	if n := len(l.Entries); n > l.cap() {
		return fmt.Errorf("it has %d entries, and at most %d are allowed: mend a spec and remove its entry, or raise max in review", n, l.cap())
	}
	seen := map[[2]string]bool{}
	for i := range l.Entries {
		e := &l.Entries[i]
		e.Suite, e.Spec = oneLine(e.Suite), oneLine(e.Spec)
		if err := e.check(); err != nil {
			return fmt.Errorf("entry %d (%q): %w", i+1, e.Spec, err)
		}
		if seen[e.id()] {
			return fmt.Errorf("entry %d (%q): another entry is of the same spec", i+1, e.Spec)
		}
		seen[e.id()] = true
	}
	return nil
}

func (e *Entry) id() [2]string { return [2]string{e.Suite, e.Spec} }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func (e *Entry) check() error {
	for _, field := range []struct{ name, value string }{{"suite", e.Suite}, {"spec", e.Spec}, {"owner", e.Owner}, {"reason", e.Reason}, {"added", e.Added}, {"expires", e.Expires}} {
		if strings.TrimSpace(field.value) == "" {
			return fmt.Errorf("%s is missing", field.name)
		}
	}
	added, err := time.Parse(time.DateOnly, e.Added)
	if err != nil {
		return fmt.Errorf("added = %q: write a day as 2026-11-28", e.Added)
	}
	expires, err := time.Parse(time.DateOnly, e.Expires)
	if err != nil {
		return fmt.Errorf("expires = %q: write a day as 2026-11-28", e.Expires)
	}
	if days := expires.Sub(added).Hours() / 24; days < 0 || days > MaxAge {
		return fmt.Errorf("it expires on %s, added on %s: at most %d days later", e.Expires, e.Added, MaxAge)
	}
	return nil
}

// Expired reports whether the last day of the entry is over.
func (e *Entry) Expired(now time.Time) bool { return e.Expires < now.UTC().Format(time.DateOnly) }

// Is reports whether the entry is of a spec, whatever its occurrence.
func (e *Entry) Is(s *reports.Spec) bool {
	name := string(s.AppendName(nil))
	suite, text, _ := strings.Cut(name, "\n")
	return suite == e.Suite && text == e.Spec
}

// Of returns the entry of a spec, expired or not; nil: there is none.
func (l *Ledger) Of(s *reports.Spec) *Entry {
	if l == nil {
		return nil
	}
	for i := range l.Entries {
		if l.Entries[i].Is(s) {
			return &l.Entries[i]
		}
	}
	return nil
}

// Covers returns the entry that covers the failure of a spec; nil: none does, or no more.
func (l *Ledger) Covers(s *reports.Spec, now time.Time) *Entry {
	if e := l.Of(s); e != nil && !e.Expired(now) {
		return e
	}
	return nil
}

// Expired are the entries whose last day is over, in the order of the file.
func (l *Ledger) Expired(now time.Time) []Entry {
	if l == nil {
		return nil
	}
	var all []Entry
	for _, e := range l.Entries {
		if e.Expired(now) {
			all = append(all, e)
		}
	}
	return all
}

// Add adds an entry, or renews the one of the same spec.
func (l *Ledger) Add(e Entry) error {
	e.Suite, e.Spec = oneLine(e.Suite), oneLine(e.Spec)
	with := Ledger{Path: l.Path, Max: l.Max, Entries: slices.DeleteFunc(slices.Clone(l.Entries), func(o Entry) bool { return o.id() == e.id() })}
	with.Entries = append(with.Entries, e)
	if err := with.check(); err != nil {
		return &Error{l.Path, err}
	}
	*l = with
	return nil
}

// Expire removes the entries whose last day is over and returns them.
func (l *Ledger) Expire(now time.Time) []Entry {
	gone := l.Expired(now)
	l.Entries = slices.DeleteFunc(l.Entries, func(e Entry) bool { return e.Expired(now) })
	return gone
}

const header = `# Specs whose failures do not fail a run: see flujo-harness quarantine. They still run, and
# are shown. After the day of "expires" an entry covers nothing and the gate breaks.
`

// Write writes the ledger to its file, whole or not at all.
func (l *Ledger) Write() error {
	content, err := toml.Marshal(l)
	if err != nil {
		return &Error{l.Path, err}
	}
	if err := os.MkdirAll(filepath.Dir(l.Path), 0o755); err != nil {
		return &Error{l.Path, err}
	}
	err = harness.Replace(l.Path, func(part string) error {
		return os.WriteFile(part, append([]byte(header), content...), 0o644)
	})
	if err != nil {
		return &Error{l.Path, err}
	}
	return nil
}
