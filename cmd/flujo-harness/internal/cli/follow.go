package cli

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/live"
	"github.com/flujo/flujo-harness/reports/render"
)

// Follower prints the progress of a run's tests: a line for each suite and each failure when it
// ends, and how far the run is. It also updates the file from which serve shows the run.
type Follower struct {
	Tracker  *live.Tracker
	File     *live.File // nil: there is none
	Progress *Progress
	Screen   render.Screen
	Module   string                              // import path, which names of suites begin with
	Clean    func([]reports.Spec) []reports.Spec // removes secrets from displayed specs
	Now      func() time.Time

	// Groups prints each failed suite as a group of GitHub Actions, which the log folds, with the
	// complete messages.
	Groups bool

	held     map[string][]string // lines of failures, by suite, until the suite ends
	beat     time.Time           // time of the last line
	failures int                 // number of failed specs
	said     bool                // whether a line was printed
}

const (
	heartbeat   = 30 * time.Second // longest time without a line in a log
	maxFailures = 20               // failures with lines of their own; the summary has five in full, the report all
	maxGrouped  = 200              // the same if they are grouped, because groups are folded
)

// Tell processes news of the tests.
func (f *Follower) Tell(n live.News) {
	if len(n.Specs) > 0 {
		n.Specs = f.Clean(n.Specs)
	}
	ended := f.Tracker.Add(n)
	run := f.Tracker.Run()
	if f.File != nil {
		_ = f.File.Write(run) // only serve needs the file, so an error does not matter
	}
	for i := range n.Specs {
		if s := &n.Specs[i]; s.State == reports.Failed {
			f.failed(s)
		}
	}
	for i := range ended {
		if line := f.suite(&ended[i]); f.held[ended[i].Name] != nil {
			f.group(line, ended[i].Name)
		} else if line != "" {
			f.say(line)
		}
	}
	if f.Progress.Live() {
		f.Progress.Set(far(&run), "")
		return
	}
	f.Progress.Set(run.Stage, "")
	if now := f.Now(); f.beat.IsZero() {
		f.beat = now
	} else if now.Sub(f.beat) >= heartbeat {
		f.say(fmt.Sprintf("  %s: %s", live.Rough(now.Sub(run.Started)), far(&run)))
	}
}

// group prints the failures of a suite.
func (f *Follower) group(title, suite string) {
	f.Progress.Group(strings.TrimSpace(title), f.held[suite])
	f.beat, f.said = f.Now(), true
	delete(f.held, suite)
}

// maxGroup is the maximum number of lines of one message in a group.
const maxGroup = 100

// hold stores the lines of a failure until its suite ends.
func (f *Follower) hold(s *reports.Spec, where string) {
	if f.held == nil {
		f.held = map[string][]string{}
	}
	lines := append(f.held[s.Suite], "✗ "+reports.Visible(s.Name())+where)
	all := strings.Split(strings.TrimRight(reports.VisibleBlock(s.Message), "\n"), "\n")
	for i, l := range all {
		if i == maxGroup {
			lines = append(lines, "    … "+Plural(int64(len(all)-i), "more line"))
			break
		}
		lines = append(lines, "    "+l)
	}
	f.held[s.Suite] = lines
}

// End prints the failures of suites that did not end, and an empty line if anything was printed.
func (f *Follower) End() {
	for _, suite := range slices.Sorted(maps.Keys(f.held)) {
		f.group("✗ "+reports.Visible(f.short(suite))+"  did not end", suite)
	}
	if f.said {
		f.Progress.Say("")
	}
}

func (f *Follower) say(line string) {
	f.beat, f.said = f.Now(), true
	f.Progress.Say(line)
}

// failed prints a failed spec and the first line of its message.
func (f *Follower) failed(s *reports.Spec) {
	most := maxFailures
	if f.Groups {
		most = maxGrouped
	}
	if f.failures++; f.failures > most {
		if f.failures == most+1 {
			f.say("  … more specs fail: the report has all of them")
		}
		return
	}
	where := ""
	if s.File != "" {
		where = fmt.Sprintf("  %s:%d", s.File, s.Line)
	}
	if f.Groups {
		f.hold(s, where)
		return
	}
	width := f.Screen.Width
	if width == 0 {
		width = 1000
	}
	f.say("  " + f.Screen.Paint(Red, "✗") + " " + f.Screen.Paint(Bold, Cut(reports.Visible(s.Name()), width-5)))
	message := strings.Join(strings.Fields(s.Message), " ")
	message = Cut(strings.TrimPrefix(message, fmt.Sprintf("%s:%d: ", path.Base(s.File), s.Line)), 100) // go test prefixes the message with it
	if message+where != "" {
		f.say(f.Screen.Paint(Dim, Cut(strings.TrimRight("  "+reports.Visible(where+"  "+message), " "), width-1)))
	}
}

// suite returns the line for a suite that has ended, or "" if it has no results.
func (f *Follower) suite(s *live.Suite) string {
	name := reports.Visible(f.short(s.Name))
	if s.State == live.Broken {
		return "  " + f.Screen.Paint(Red, "✗") + " " + name + "  does not build"
	}
	if s.Counts.All() == 0 {
		return ""
	}
	mark, parts := "✓", []string{Plural(int64(s.Counts.Passed), "spec") + " passed"}
	if s.Counts.Failed > 0 {
		mark, parts = f.Screen.Paint(Red, "✗"), append(parts, Grouped(int64(s.Counts.Failed))+" failed")
	}
	if n := s.Counts.Skipped + s.Counts.Pending; n > 0 {
		parts = append(parts, Grouped(int64(n))+" not run")
	}
	return fmt.Sprintf("  %s %s  %s", mark, name, strings.Join(parts, " · "))
}

// short returns the path of a suite relative to the module.
func (f *Follower) short(name string) string {
	if rest, ok := strings.CutPrefix(name, f.Module); ok && f.Module != "" && (rest == "" || rest[0] == '/') {
		name = rest
	}
	if name == "" {
		return "."
	}
	return "./" + strings.TrimPrefix(strings.TrimPrefix(name, "./"), "/")
}

// far returns how far the run is, and which test is running.
func far(r *live.Run) string {
	parts := r.Progress()
	if r.Now != "" {
		parts = append(parts, r.Now)
	}
	return strings.Join(parts, " · ")
}
