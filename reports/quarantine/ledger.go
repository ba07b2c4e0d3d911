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

	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/reports"
)

// defaultMax is the maximum number of entries of a ledger that does not set max.
const defaultMax = 20

// maxDays is the maximum number of days from added to expires. A spec that is not fixed by then
// has to be reviewed again.
const maxDays = 90

// Ledger lists the specs in quarantine. A nil *Ledger is empty and must not be changed.
type Ledger struct {
	Path    string  `toml:"-"`
	Max     int     `toml:"max,omitempty"` // maximum number of entries; 0 means 20
	Entries []Entry `toml:"quarantine"`
}

// Entry quarantines one spec. Dates are in UTC, in the form 2006-01-02.
type Entry struct {
	Suite   string `toml:"suite"` // as in [reports.Spec]
	Spec    string `toml:"spec"`  // texts of the spec, joined by single spaces
	Owner   string `toml:"owner"` // person or team that fixes it
	Reason  string `toml:"reason"`
	Added   string `toml:"added"`
	Expires string `toml:"expires"` // last day on which the entry covers failures, at most 90 days after Added
}

// Error reports an invalid ledger, or one that cannot be read or written.
type Error struct {
	Path string
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("quarantine %s: %v", e.Path, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Read reads a ledger from a file, see [Parse]. A file that does not exist is an empty ledger.
// The error is an [*Error].
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

// Parse parses a ledger from TOML; path is its name in messages. Unknown keys, incomplete
// entries, two entries for one spec, and more entries than allowed are errors of type [*Error].
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

// cap returns the maximum number of entries.
func (l *Ledger) cap() int {
	if l.Max > 0 {
		return l.Max
	}
	return defaultMax
}

func (l *Ledger) check() error {
	if l.Max < 0 {
		return fmt.Errorf("max = %d: use a positive number", l.Max)
	}
	if n := len(l.Entries); n > l.cap() {
		return fmt.Errorf("%d entries, but at most %d are allowed: fix a spec and remove its entry, or raise max in a reviewed change", n, l.cap())
	}
	seen := map[[2]string]bool{}
	for i := range l.Entries {
		e := &l.Entries[i]
		e.Suite, e.Spec = oneLine(e.Suite), oneLine(e.Spec)
		if err := e.check(); err != nil {
			return fmt.Errorf("entry %d (%q): %w", i+1, e.Spec, err)
		}
		if seen[e.id()] {
			return fmt.Errorf("entry %d (%q): an earlier entry is for the same spec", i+1, e.Spec)
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
		return fmt.Errorf("added = %q: use a date such as 2026-11-28", e.Added)
	}
	expires, err := time.Parse(time.DateOnly, e.Expires)
	if err != nil {
		return fmt.Errorf("expires = %q: use a date such as 2026-11-28", e.Expires)
	}
	if days := expires.Sub(added).Hours() / 24; days < 0 || days > maxDays {
		return fmt.Errorf("expires = %q: use a date from %s (added) to %d days later", e.Expires, e.Added, maxDays)
	}
	return nil
}

// Expired reports whether the entry no longer covers failures at the time now.
func (e *Entry) Expired(now time.Time) bool { return e.Expires < now.UTC().Format(time.DateOnly) }

// is reports whether the entry is for a spec. The occurrence does not matter.
func (e *Entry) is(s *reports.Spec) bool {
	name := string(s.AppendName(nil))
	suite, text, _ := strings.Cut(name, "\n")
	return suite == e.Suite && text == e.Spec
}

// of returns the entry for a spec, expired or not, or nil.
func (l *Ledger) of(s *reports.Spec) *Entry {
	if l == nil {
		return nil
	}
	for i := range l.Entries {
		if l.Entries[i].is(s) {
			return &l.Entries[i]
		}
	}
	return nil
}

// Covers returns the entry that covers a failure of the spec at the time now, or nil.
func (l *Ledger) Covers(s *reports.Spec, now time.Time) *Entry {
	if e := l.of(s); e != nil && !e.Expired(now) {
		return e
	}
	return nil
}

// Expired returns the entries that have expired at the time now, in the order of the file.
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

// Add adds an entry, or replaces the entry for the same spec. If the result would be invalid, the
// error is an [*Error] and the ledger is unchanged.
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

// Expire removes the entries that have expired at the time now, and returns them.
func (l *Ledger) Expire(now time.Time) []Entry {
	gone := l.Expired(now)
	l.Entries = slices.DeleteFunc(l.Entries, func(e Entry) bool { return e.Expired(now) })
	return gone
}

const header = `# Specs whose failures do not fail a run, see flujo-harness quarantine --help. They still run
# and are reported. After the date "expires" an entry covers nothing, and the gate breaks.
`

// Write writes the ledger to its file atomically.
func (l *Ledger) Write() error {
	content, err := toml.Marshal(l)
	if err != nil {
		return &Error{l.Path, err}
	}
	if err := os.MkdirAll(filepath.Dir(l.Path), 0o755); err != nil {
		return &Error{l.Path, err}
	}
	err = workdir.Replace(l.Path, func(part string) error {
		return os.WriteFile(part, append([]byte(header), content...), 0o644)
	})
	if err != nil {
		return &Error{l.Path, err}
	}
	return nil
}
