package analysis

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
)

// Outside is a failure outside the specs (of a build, of the set-up of a suite, of a
// package) in the light of the run before. From run to run it is known by the path of its
// suite, its node and its occurrence; message and line may change.
type Outside struct {
	Kind       reports.Kind // Broke, StillFailing, Failing, Flaky, Fixed, NotRun or Gone
	Suite      string       // path
	Occurrence int          // 1, and 2, 3, … where the same node of a suite failed several times
	Failure    reports.SuiteFailure
	Now        bool // false: it was there in the run before only, and Failure is of that run
	Age        Age  // zero where Now is false
	NotRun     int  // specs of the suite that it kept from running
}

// Spec presents the failure in the form of a spec, for outputs that list both. The node
// stands in brackets, so that its key is never that of a spec of the same text.
func (o *Outside) Spec() reports.Spec {
	s := reports.Spec{Suite: o.Suite, Leaf: "[" + o.Failure.Node + "]", Occurrence: o.Occurrence, Message: o.Failure.Message, File: o.Failure.File, Line: o.Failure.Line}
	if o.Now {
		s.State = reports.Failed
	}
	return s
}

// Name is the suite and the node, and the occurrence where there are several.
func (o *Outside) Name() string {
	s := o.Spec()
	if o.Occurrence > 1 {
		return fmt.Sprintf("%s (%d)", s.Name(), o.Occurrence)
	}
	return s.Name()
}

// outsideID identifies a failure outside the specs from run to run.
type outsideID struct {
	suite, node string
	occurrence  int
}

func (o *Outside) id() outsideID { return outsideID{o.Suite, o.Failure.Node, o.Occurrence} }

// OutsideOf lists the failures outside the specs, in the order of the suites.
func OutsideOf(suites []reports.Suite) []Outside {
	var all []Outside
	times := map[[2]string]int{}
	for i := range suites {
		for _, f := range suites[i].Failures {
			node := [2]string{suites[i].Path, f.Node}
			times[node]++
			all = append(all, Outside{Suite: suites[i].Path, Occurrence: times[node], Failure: f, Now: true})
		}
	}
	return all
}

// CompareOutside pairs the failures outside the specs of two runs; was may be nil.
// sameCode says that both ran the same commit.
func CompareOutside(was, now *reports.Results, sameCode bool) []Outside {
	all := OutsideOf(now.Suites)
	if was == nil {
		for i := range all {
			all[i].Kind = reports.Failing
		}
		return all
	}
	before := map[outsideID]bool{}
	past := OutsideOf(was.Suites)
	for i := range past {
		before[past[i].id()] = true
	}
	current := map[outsideID]bool{}
	for i := range all {
		o := &all[i]
		current[o.id()] = true
		switch {
		case before[o.id()]:
			o.Kind = reports.StillFailing
		case sameCode:
			o.Kind = reports.Flaky
		default:
			o.Kind = reports.Broke
		}
	}
	b := newBarrier(now)
	for _, o := range past {
		if current[o.id()] {
			continue
		}
		o.Now = false
		switch {
		case b.whole(o.Suite): // another failure came before it
			o.Kind = reports.NotRun
		case !b.has(o.Suite):
			o.Kind = reports.Gone
		case sameCode:
			o.Kind = reports.Flaky
		default:
			o.Kind = reports.Fixed
		}
		all = append(all, o)
	}
	slices.SortStableFunc(all, func(x, y Outside) int {
		return slices.Index(reports.Kinds, x.Kind) - slices.Index(reports.Kinds, y.Kind)
	})
	return all
}

// barrier says which specs a run could not run because something outside of them failed.
type barrier struct {
	suites map[string]*barred
	build  bool // a build failed and the results do not say of which suites
}

type barred struct {
	nodes  []string // that failed and keep specs from running
	listed bool     // the suite is in the results
	ran    bool     // a spec of it passed or failed
	died   bool     // a Go test took the process of its package with it
}

// unknownBuild is the path of the suite of a failed build of which a file does not say
// what was built.
const unknownBuild = "go build"

var (
	goTestName = regexp.MustCompile(`^(Test|Benchmark|Example|Fuzz)([^a-z]|$)`)
	// Nodes that run behind the specs keep none of them from running.
	nodeAfter = regexp.MustCompile(`^((Synchronized|Report)?AfterSuite|DeferCleanup\b.*)$`)
)

func newBarrier(r *reports.Results) *barrier {
	b := &barrier{suites: map[string]*barred{}}
	at := func(path string) *barred {
		s := b.suites[path]
		if s == nil {
			s = &barred{}
			b.suites[path] = s
		}
		return s
	}
	for i := range r.Suites {
		s := at(r.Suites[i].Path)
		s.listed = true
		for _, f := range r.Suites[i].Failures {
			b.build = b.build || r.Suites[i].Path == unknownBuild
			if !nodeAfter.MatchString(f.Node) {
				s.nodes = append(s.nodes, f.Node)
			}
		}
	}
	for i := range r.Specs {
		spec := &r.Specs[i]
		s := at(spec.Suite)
		s.listed = true
		s.ran = s.ran || spec.State == reports.Passed || spec.State == reports.Failed
		goTest := len(spec.Containers) == 0 && goTestName.MatchString(spec.Leaf)
		s.died = s.died || spec.State == reports.Failed && goTest && (spec.Detail == "unfinished" || spec.Detail == "panicked")
	}
	return b
}

func (b *barrier) has(path string) bool { return b.suites[path] != nil && b.suites[path].listed }

// whole reports whether nothing of the suite could run.
func (b *barrier) whole(path string) bool {
	s := b.suites[path]
	return s != nil && len(s.nodes) > 0 && !s.ran
}

// missing reports whether a spec that the results do not have was kept from running.
func (b *barrier) missing(s *reports.Spec) bool {
	in := b.suites[s.Suite]
	if in == nil {
		return b.build
	}
	if in.died {
		return true
	}
	for _, node := range in.nodes {
		// The failure of a Go test of its own, without its subtests, is of those only.
		if !goTestName.MatchString(node) || strings.HasPrefix(s.Leaf, node+"/") {
			return true
		}
	}
	return false
}

// skipped reports whether a spec that the results have as skipped did not skip itself:
// the suite ended, or was never set up.
func (b *barrier) skipped(s *reports.Spec) bool {
	in := b.suites[s.Suite]
	if s.State != reports.Skipped || in == nil || len(in.nodes) == 0 {
		return false
	}
	return !in.ran || s.Message == "" || strings.HasPrefix(s.Message, "not run")
}

// any reports whether there may be specs that were kept from running.
func (b *barrier) any() bool {
	for _, s := range b.suites {
		if len(s.nodes) > 0 || s.died {
			return true
		}
	}
	return b.build
}

// recall completes the results of the run before with the specs that could not run in it,
// in the state that they had when their suite ran last: a suite that is built again is
// compared with what it was, and has neither new nor lost specs for having been broken.
func (a *analyzer) recall() error {
	if a.was == nil {
		return nil
	}
	b := newBarrier(a.was)
	if !b.any() {
		return nil
	}
	w := a.w
	previous := func(l history.RunLine) bool { return l.ID == a.a.Previous.ID }
	at := slices.IndexFunc(w.Runs, previous)
	if at < 0 { // of another branch
		if err := a.readBase(); err != nil {
			return err
		}
		w = a.base
		at = slices.IndexFunc(w.Runs, previous)
	}
	if at < 1 {
		return nil
	}
	have := map[reports.Digest]int{}
	for i := range a.was.Specs {
		have[a.was.Specs[i].Digest()] = i
	}
	barred := map[int64]reports.Spec{} // by the number of the name
	last := map[string]int{}           // place of the last run in which the suite ran and nothing kept it from it
	names, err := a.Names()
	if err != nil {
		return err
	}
	for id, s := range names {
		if id >= int64(len(w.Codes)) || w.Codes[id] == nil {
			continue
		}
		codes := w.Codes[id]
		if i, listed := have[s.Digest()]; listed {
			if !b.skipped(&a.was.Specs[i]) {
				continue
			}
		} else if !b.missing(&s) {
			continue
		}
		barred[id] = s
		for i := at - 1; i > last[s.Suite]; i-- {
			if o := history.OutcomeOf(codes[i]); o != history.NotRun && w.Runs[i].Suites == 0 {
				last[s.Suite] = i
			}
		}
	}
	was := &reports.Results{Suites: a.was.Suites, Specs: slices.Clone(a.was.Specs)}
	for id, s := range barred {
		code := lastCode(w.Codes[id][last[s.Suite]:at])
		if code == history.Absent {
			continue
		}
		s.State = reports.States[code&^history.BothBit]
		if s.State == reports.Failed && code&history.BothBit != 0 {
			s.Detail = reports.BothWays
		}
		if i, listed := have[s.Digest()]; listed {
			was.Specs[i].State, was.Specs[i].Detail = s.State, s.Detail
			continue
		}
		was.Specs = append(was.Specs, s)
	}
	slices.SortFunc(was.Specs[len(a.was.Specs):], func(x, y reports.Spec) int { return strings.Compare(x.Key(), y.Key()) })
	a.was = was
	return nil
}

// lastCode is the newest code of a spec that ran, else the newest of all; absent where
// no run has it.
func lastCode(codes []byte) byte {
	code := byte(history.Absent)
	for _, c := range slices.Backward(codes) {
		if history.OutcomeOf(c) != history.NotRun {
			return c
		}
		if code == history.Absent {
			code = c
		}
	}
	return code
}

// tellOutside compares the failures outside the specs with those of the run before, and
// finds since when each is there.
func (a *analyzer) tellOutside() error {
	if a.a.Run.Suites == nil {
		return nil
	}
	a.a.Outside = CompareOutside(a.was, a.a.Run.Suites, a.a.Previous != nil && sameCommit(*a.a.Previous, a.row.Line()))
	if err := a.outsideBothWays(); err != nil {
		return err
	}
	a.tellClusters()
	counted := map[string]bool{}
	for i := range a.a.Outside {
		o := &a.a.Outside[i]
		if !o.Now || counted[o.Suite] || nodeAfter.MatchString(o.Failure.Node) {
			continue
		}
		counted[o.Suite] = true // once, by the first failure of a suite
		for k := range a.a.Moves {
			if m := &a.a.Moves[k]; m.Kind == reports.NotRun && (m.Spec.Suite == o.Suite || o.Suite == unknownBuild) {
				o.NotRun++
			}
		}
	}
	if a.Reader == nil {
		return nil
	}
	return a.outsideAges()
}

// outsideBothWays marks as flaky what failed in this run and not in another of its commit.
func (a *analyzer) outsideBothWays() error {
	b := a.a.Baseline
	if b == nil || a.a.Run.Dirty {
		return nil
	}
	for i := range a.a.Outside {
		o := &a.a.Outside[i]
		for _, l := range b.Same {
			if !o.Now || l.Dirty || o.Kind == reports.StillFailing {
				continue
			}
			red, ran, err := a.outsideAt(l.ID, o.id())
			if err != nil {
				return err
			}
			if ran && !red {
				o.Kind = reports.Flaky
			}
		}
	}
	return nil
}

// outsideAges walks back through the runs of the window until each failure has one in
// which its suite ran without it.
func (a *analyzer) outsideAges() error {
	open := map[outsideID]*Age{}
	for i := range a.a.Outside {
		if o := &a.a.Outside[i]; o.Now {
			since := a.row.Line()
			o.Age = Age{Since: &since, Runs: 1}
			open[o.id()] = &o.Age
		}
	}
	for i := len(a.w.Runs) - 1; i >= 0 && len(open) > 0; i-- {
		l := a.w.Runs[i]
		if l.ID == a.a.Run.ID {
			continue
		}
		r, err := a.Outline(l.ID)
		if err != nil {
			return fmt.Errorf("run %d: %w", l.ID, err)
		}
		b, failed := newBarrier(r), map[outsideID]bool{}
		for _, o := range OutsideOf(r.Suites) {
			failed[o.id()] = true
		}
		for id, age := range open {
			switch {
			case failed[id]:
				age.Runs++
				age.Since = &l
			case b.has(id.suite) && !b.whole(id.suite):
				age.LastPassed, age.Known = &l, true
				delete(open, id)
			}
		}
	}
	for _, age := range open {
		age.Known = a.rest == 0
	}
	return nil
}

// NewOutside are the failures outside the specs that were not there in the run before:
// a run is red for them as for [Analysis.NewFailures].
func (a *Analysis) NewOutside() []Outside {
	var all []Outside
	for _, o := range a.Outside {
		if o.Now && (o.Kind == reports.Broke || o.Kind == reports.Flaky) {
			all = append(all, o)
		}
	}
	return all
}
