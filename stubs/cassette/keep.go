package cassette

import (
	"errors"
	"flag"
	"os"
	"strings"
	"time"
)

// MaxAge makes [Open] for a replay fail if the file contains a recording that is older than age
// at the time now. Recordings have a date only if they were made with MaxAge; one without a date
// is an error, too. Dates are in UTC.
func MaxAge(age time.Duration, now time.Time) Option {
	return func(c *Cassette) { c.age, c.today = age, now.UTC().Truncate(24*time.Hour) }
}

// tooOld returns an error if a recording of the file is older than MaxAge allows.
func (c *Cassette) tooOld(q *interaction, line int) error {
	if c.age <= 0 || c.mode == Record || c.mode == Verify {
		return nil
	}
	day, err := time.Parse(time.DateOnly, q.Recorded)
	switch days := int(c.today.Sub(day).Hours() / 24); {
	case q.Recorded == "":
		return c.bad(line, "%s has no date, and MaxAge was given: record it again with MaxAge", q.what())
	case err != nil:
		return c.bad(line, "%q is not a date: write it as 2006-01-02, or record again", q.Recorded)
	case c.today.Sub(day) > c.age:
		return c.bad(line, "%s was recorded on %s, %s ago, and MaxAge allows %s: record it again", q.what(), q.Recorded, counted(days, "day"), counted(int(c.age.Hours()/24), "day"))
	}
	return nil
}

// Partial declares whether only a part of the tests that use the file runs. If so, Close in mode
// Record refuses to drop recordings of the existing file that were not requested. Without this
// option a run is partial if flags of Ginkgo focus or skip specs, or flags of go test select
// subtests by name.
func Partial(is bool) Option { return func(c *Cassette) { c.part = &is } }

// partial returns the reason why the run is partial, or "" if it is not.
func (c *Cassette) partial() string {
	if c.part != nil {
		if *c.part {
			return "option Partial"
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

// wouldDrop returns an error if a partial recording would remove recordings from the file.
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
		return c.bad(0, "not written: only a part of the tests runs (%s), and the recordings that this would drop are unknown: %w", why, err)
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
	return c.bad(0, "not written: only a part of the tests runs (%s), and these recordings, which were not requested, would be lost (%d): use mode Add, which keeps them, run all tests, or use Partial(false)\n%s", why, len(names), listed(names))
}
