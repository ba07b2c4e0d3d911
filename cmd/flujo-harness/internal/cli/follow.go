package cli

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/live"
)

// Follower shows the tests of a run while they run: a line for each suite and each failure as
// they come, and how far all of it is. It keeps the file by which serve follows the run.
type Follower struct {
	Tracker  *live.Tracker
	File     *live.File // nil: there is none
	Progress *Progress
	Screen   Screen
	Module   string                              // import path, which names of suites begin with
	Clean    func([]reports.Spec) []reports.Spec // takes secrets out of what is shown
	Now      func() time.Time

	beat     time.Time // of the last line, where lines do not change
	failures int       // that have a line
	said     bool      // a line was printed
}

const (
	heartbeat   = 30 * time.Second // between lines of a log in which nothing else happens
	maxFailures = 20               // with lines of their own: the summary has five in full, the report all
)

// Tell takes news of the tests.
func (f *Follower) Tell(n live.News) {
	if len(n.Specs) > 0 {
		n.Specs = f.Clean(n.Specs)
	}
	ended := f.Tracker.Add(n)
	run := f.Tracker.Run()
	if f.File != nil {
		_ = f.File.Write(run) // for who looks on: the run itself does not need it
	}
	for i := range n.Specs {
		if s := &n.Specs[i]; s.State == reports.Failed {
			f.failed(s)
		}
	}
	for i := range ended {
		if line := f.suite(&ended[i]); line != "" {
			f.say(line)
		}
	}
	if f.Progress.Live() {
		f.Progress.Set(Far(&run), "")
		return
	}
	f.Progress.Set(run.Stage, "")
	if now := f.Now(); f.beat.IsZero() {
		f.beat = now
	} else if now.Sub(f.beat) >= heartbeat {
		f.say(fmt.Sprintf("  %s: %s", minutes(now.Sub(run.Started)), Far(&run)))
	}
}

// End leaves a line free behind what was printed.
func (f *Follower) End() {
	if f.said {
		f.Progress.Say("")
	}
}

func (f *Follower) say(line string) {
	f.beat, f.said = f.Now(), true
	f.Progress.Say(line)
}

// failed prints a spec that failed, and the first line of why.
func (f *Follower) failed(s *reports.Spec) {
	if f.failures++; f.failures > maxFailures {
		if f.failures == maxFailures+1 {
			f.say("  … more specs fail: the report has all of them")
		}
		return
	}
	where := ""
	if s.File != "" {
		where = fmt.Sprintf("  %s:%d", s.File, s.Line)
	}
	width := f.Screen.Width
	if width == 0 {
		width = 1000
	}
	f.say("  " + f.Screen.Paint(Red, "✗") + " " + f.Screen.Paint(Bold, Cut(reports.Visible(s.Name()), width-5)))
	message := strings.Join(strings.Fields(s.Message), " ")
	message = Cut(strings.TrimPrefix(message, fmt.Sprintf("%s:%d: ", path.Base(s.File), s.Line)), 100) // go test begins with it
	if message+where != "" {
		f.say(f.Screen.Paint(Dim, Cut(strings.TrimRight("  "+reports.Visible(where+"  "+message), " "), width-1)))
	}
}

// suite is the line of one that has ended, "" where nothing is known of it.
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

// short is the name of a suite within the module.
func (f *Follower) short(name string) string {
	if rest, ok := strings.CutPrefix(name, f.Module); ok && f.Module != "" && (rest == "" || rest[0] == '/') {
		name = rest
	}
	if name == "" {
		return "."
	}
	return "./" + strings.TrimPrefix(strings.TrimPrefix(name, "./"), "/")
}

// Far says how far the tests of a run are.
func Far(r *live.Run) string {
	waiting := r.Waiting()
	if r.Done() == 0 && waiting == len(r.Suites) {
		return "compiling " + Plural(int64(waiting), "package")
	}
	var parts []string
	if r.Known >= r.Done() && r.Known > 0 {
		parts = append(parts, fmt.Sprintf("%s of %s", Grouped(int64(r.Done())), Plural(int64(r.Known), "spec")))
	} else {
		parts = append(parts, Plural(int64(r.Done()), "spec"))
	}
	if n := r.Counts.Failed; n > 0 {
		parts = append(parts, Grouped(int64(n))+" failed")
	}
	if waiting > 0 {
		parts = append(parts, Plural(int64(waiting), "package")+" to begin")
	}
	if r.Left >= 1 {
		parts = append(parts, "about "+minutes(time.Duration(r.Left*float64(time.Second)))+" left")
	}
	if r.Now != "" {
		parts = append(parts, r.Now)
	}
	return strings.Join(parts, " · ")
}

// minutes writes a time as the summary does: "34 s", "1 min 41 s".
func minutes(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	if s < 100 {
		return fmt.Sprintf("%d s", s)
	}
	return fmt.Sprintf("%d min %d s", s/60, s%60)
}
