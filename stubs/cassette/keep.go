package cassette

import (
	"errors"
	"flag"
	"os"
	"strings"
	"time"
)

// MaxAge makes a file an error, when it is opened to be replayed, that has a recording
// older than age on the day now. Recordings get a date only where they are made with
// MaxAge; one without a date is an error too. Days are those of UTC.
func MaxAge(age time.Duration, now time.Time) Option {
	return func(c *Cassette) { c.age, c.today = age, now.UTC().Truncate(24*time.Hour) }
}

// tooOld checks the age of a recording that was read from the file.
func (c *Cassette) tooOld(q *interaction, line int) error {
	if c.age <= 0 || c.mode == Record || c.mode == Verify {
		return nil
	}
	day, err := time.Parse(time.DateOnly, q.Recorded)
	switch days := int(c.today.Sub(day).Hours() / 24); {
	case q.Recorded == "":
		return c.bad(line, "%s has no date, and MaxAge was given: record it again with MaxAge", q.what())
	case err != nil:
		return c.bad(line, "%q is no date: write it as 2006-01-02, or record again", q.Recorded)
	case c.today.Sub(day) > c.age:
		return c.bad(line, "%s was recorded on %s, %s ago, and MaxAge allows %s: record it again", q.what(), q.Recorded, counted(days, "day"), counted(int(c.age.Hours()/24), "day"))
	}
	return nil
}

// Partial says whether only a part of the tests that use the file runs. In mode Record,
// Close then refuses to write a file without the recordings that nobody asked for. Without
// this option a run is a partial one where Ginkgo is told to focus or skip specs, or go
// test to run subtests by name.
func Partial(is bool) Option { return func(c *Cassette) { c.part = &is } }

// partial says why the run is a partial one, "" where it is not.
func (c *Cassette) partial() string {
	if c.part != nil {
		if *c.part {
			return "as Partial says"
		}
		return ""
	}
	for _, name := range []string{"ginkgo.focus", "ginkgo.skip", "ginkgo.label-filter", "ginkgo.focus-file", "ginkgo.skip-file", "test.run", "test.skip"} {
		f := flag.Lookup(name)
		if f == nil || f.Value.String() == f.DefValue || strings.HasPrefix(name, "test.") && !strings.Contains(f.Value.String(), "/") {
			continue
		}
		return "-" + name + " " + f.Value.String()
	}
	return ""
}

// wouldDrop is the error of a partial recording that would take recordings out of the file.
func (c *Cassette) wouldDrop(list []interaction) error {
	why := c.partial()
	if c.mode != Record || why == "" {
		return nil
	}
	old := &Cassette{file: c.file, mode: Record, red: c.red, match: c.match, tracks: map[slot]*track{}}
	if _, err := os.Stat(c.file); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := old.load(); err != nil {
		return c.bad(0, "not written: only a part of the tests runs (%s), and what that would drop is not known: %w", why, err)
	}
	for _, q := range list {
		delete(old.tracks, slot{q.Key, q.N})
	}
	if len(old.tracks) == 0 {
		return nil
	}
	var names []string
	for _, t := range old.inOrder() {
		names = append(names, t.what())
	}
	return c.bad(0, "not written: only a part of the tests runs (%s), and these recordings, which nobody asked for, would be lost (%d): use mode Add, which keeps them, run all tests, or say Partial(false)\n%s", why, len(names), listed(names))
}
