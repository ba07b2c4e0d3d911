// Package live tracks the progress of a run while its tests run. A [Tracker] counts the news of a
// runner and compares them with an earlier run. A [File] makes the progress available to other
// processes on the machine, which read it by [Follow].
//
// The result of a run does not come from this package: it is read from the reports of the suites when
// they have ended.
package live

import (
	"fmt"
	"slices"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// News is what a runner reports about once a second while tests run.
type News struct {
	Stage  string         // such as "running 2 Ginkgo suites"; "" if unchanged
	Suites []string       // all suites that will run; nil if unchanged
	Begun  []string       // suites that have begun
	Specs  []reports.Spec // specs that have ended
	Ended  []string       // suites that have ended
	Broken []string       // suites that did not build
	Now    string         // a running spec; "" if unchanged
	Again  bool           // all suites start another run
}

// State of a suite in a run.
type State string

// States of a suite. It is waiting until its first spec begins, and being compiled for most of that
// time.
const (
	Waiting State = "waiting"
	Running State = "running"
	Ended   State = "ended"
	Broken  State = "not built"
)

// Suite is one suite of a run.
type Suite struct {
	Name    string         `json:"name"`
	State   State          `json:"state"`
	Counts  reports.Counts `json:"counts"`
	Began   time.Time      `json:"began,omitzero"`
	Seconds float64        `json:"seconds"` // time since it began, or its duration if it has ended
}

// Failure is a spec that failed.
type Failure struct {
	Name    string `json:"name"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Message string `json:"message"`
}

// Run is the state of a run.
type Run struct {
	Version int       `json:"version"` // version of this format
	History string    `json:"history"` // path of the history that it will be written to
	Command string    `json:"command"`
	Branch  string    `json:"branch,omitempty"`
	Commit  string    `json:"commit,omitempty"`
	Started time.Time `json:"started"`
	Updated time.Time `json:"updated"`

	Stage  string         `json:"stage"`
	Suites []Suite        `json:"suites"`
	Counts reports.Counts `json:"counts"`
	Known  int            `json:"known"` // number of specs of the earlier run; 0 if there is none
	Left   float64        `json:"left"`  // estimated remaining time in s; -1 if unknown
	Now    string         `json:"now,omitempty"`
	Last   []string       `json:"last,omitempty"` // specs that ended, newest first
	Failed []Failure      `json:"failed,omitempty"`
	More   int            `json:"more,omitempty"` // failures beyond those in Failed
}

// Done returns the number of specs that have ended.
func (r *Run) Done() int { return r.Counts.All() }

// Waiting counts the suites that have not begun.
func (r *Run) Waiting() (n int) {
	for i := range r.Suites {
		if r.Suites[i].State == Waiting {
			n++
		}
	}
	return n
}

// Ended describes the specs that have ended: ["3 of 5 specs", "1 failed"].
func (r *Run) Ended() (parts []string) {
	specs := text.Plural(r.Done(), "spec")
	if r.Known >= r.Done() && r.Known > 0 {
		specs = text.Count(r.Done()) + " of " + text.Plural(r.Known, "spec")
	}
	parts = append(parts, specs)
	if n := r.Counts.Failed; n > 0 {
		parts = append(parts, text.Count(n)+" failed")
	}
	return parts
}

// Progress describes the progress: ["3 of 5 specs", "1 failed", "1 package to begin", "about 72 s left"].
func (r *Run) Progress() []string {
	waiting := r.Waiting()
	if r.Done() == 0 && waiting == len(r.Suites) {
		return []string{"compiling " + text.Plural(waiting, "package")}
	}
	parts := r.Ended()
	if waiting > 0 {
		parts = append(parts, text.Plural(waiting, "package")+" to begin")
	}
	if r.Left >= 1 {
		parts = append(parts, "about "+Rough(time.Duration(r.Left*float64(time.Second)))+" left")
	}
	return parts
}

// Rough formats a duration in whole seconds: "34 s", "1 min 41 s".
func Rough(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	if s < 100 {
		return fmt.Sprintf("%d s", s)
	}
	return fmt.Sprintf("%d min %d s", s/60, s%60)
}

const (
	version   = 1
	maxFailed = 100
	maxLast   = 8
	maxText   = 4000 // bytes of a message
)

// Expected contains the specs of an earlier run that this run is expected to run.
type Expected struct {
	Specs int                              // number of specs
	Took  map[reports.Digest]time.Duration // their durations
}

// Expect returns the specs of an earlier run that belong to the given suites.
func Expect(r *reports.Results, suites []string) (e Expected) {
	if r == nil {
		return e
	}
	e.Took = map[reports.Digest]time.Duration{}
	for i := range r.Specs {
		if slices.Contains(suites, r.Specs[i].Suite) {
			e.Specs++
			e.Took[r.Specs[i].Digest()] += r.Specs[i].Duration
		}
	}
	return e
}

// Tracker tracks the state of one run. It is not safe for concurrent use.
type Tracker struct {
	run    Run
	before Expected
	now    func() time.Time
	first  time.Time     // when the first suite began
	all    time.Duration // duration of all specs in the earlier run
	done   time.Duration // duration, in the earlier run, of the specs that have ended in this one
	seen   map[reports.Digest]bool
	at     map[string]int // index of a suite
}

// NewTracker returns a tracker. run contains what is known before any test runs: Command, Branch,
// Commit, History.
func NewTracker(run Run, before Expected, now func() time.Time) *Tracker {
	t := &Tracker{run: run, before: before, now: now, seen: map[reports.Digest]bool{}, at: map[string]int{}}
	t.run.Version, t.run.Known, t.run.Left = version, before.Specs, -1
	if t.run.Started.IsZero() {
		t.run.Started = now()
	}
	for _, d := range before.Took {
		t.all += d
	}
	return t
}

// Add adds news and returns the suites that have ended or failed to build since the previous call.
func (t *Tracker) Add(n News) (ended []Suite) {
	now := t.now()
	if n.Again {
		t.again()
	}
	if n.Stage != "" {
		t.run.Stage = n.Stage
	}
	for _, name := range n.Suites {
		t.suite(name)
	}
	for _, name := range n.Begun {
		t.begin(name, now)
	}
	for i := range n.Specs {
		t.spec(&n.Specs[i], now)
	}
	if n.Now != "" {
		t.run.Now = n.Now
	}
	for _, s := range []struct {
		names []string
		state State
	}{{n.Broken, Broken}, {n.Ended, Ended}} {
		for _, name := range s.names {
			suite := t.suite(name)
			if suite.State != Waiting && suite.State != Running {
				continue
			}
			suite.State = s.state
			if !suite.Began.IsZero() {
				suite.Seconds = now.Sub(suite.Began).Seconds()
			}
			ended = append(ended, *suite)
		}
	}
	return ended
}

// again starts another run of the same suites. The list of failures is kept.
func (t *Tracker) again() {
	for i := range t.run.Suites {
		t.run.Suites[i] = Suite{Name: t.run.Suites[i].Name, State: Waiting}
	}
	t.run.Counts, t.run.Now, t.first, t.done = reports.Counts{}, "", time.Time{}, 0
	clear(t.seen)
}

func (t *Tracker) suite(name string) *Suite {
	i, known := t.at[name]
	if !known {
		i = len(t.run.Suites)
		t.at[name] = i
		t.run.Suites = append(t.run.Suites, Suite{Name: name, State: Waiting})
	}
	return &t.run.Suites[i]
}

func (t *Tracker) begin(name string, now time.Time) *Suite {
	s := t.suite(name)
	if s.State == Waiting {
		s.State, s.Began = Running, now
		if t.first.IsZero() {
			t.first = now
		}
	}
	return s
}

func (t *Tracker) spec(s *reports.Spec, now time.Time) {
	t.begin(s.Suite, now).Counts.Add(s)
	t.run.Counts.Add(s)
	if d := s.Digest(); !t.seen[d] {
		t.seen[d] = true
		t.done += t.before.Took[d]
	}
	name := s.Name()
	t.run.Last = append([]string{name}, t.run.Last[:min(len(t.run.Last), maxLast-1)]...)
	if s.State != reports.Failed {
		return
	}
	if len(t.run.Failed) == maxFailed {
		t.run.More++
		return
	}
	message := s.Message
	if len(message) > maxText {
		message = message[:maxText] + " …"
	}
	t.run.Failed = append(t.run.Failed, Failure{Name: name, File: s.File, Line: s.Line, Message: message})
}

// Run returns the current state. It shares no memory with the tracker.
func (t *Tracker) Run() Run {
	r, now := t.run, t.now()
	r.Updated, r.Suites, r.Failed, r.Last = now, slices.Clone(r.Suites), slices.Clone(r.Failed), slices.Clone(r.Last)
	for i := range r.Suites {
		if s := &r.Suites[i]; s.State == Running {
			s.Seconds = now.Sub(s.Began).Seconds()
		}
	}
	if left, known := t.left(now); known {
		r.Left = left.Seconds()
	}
	return r
}

// left estimates the remaining time. It assumes that the ratio of this run's elapsed time to the
// durations in the earlier run, which includes the effect of parallel processes, will be the same for
// the remaining specs. There is no estimate before a twentieth of the durations is done.
func (t *Tracker) left(now time.Time) (time.Duration, bool) {
	if t.first.IsZero() || t.done < t.all/20 || t.done <= 0 || t.all <= 0 {
		return 0, false
	}
	pace := now.Sub(t.first).Seconds() / t.done.Seconds()
	return time.Duration(pace * float64(t.all-t.done)), true
}
