package analysis

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
)

// Outside is a failure outside the specs (of a build, a package, or the set-up of a suite),
// compared with the baseline run. It is identified by the path of its suite, its node and its
// occurrence, since message and line may change from run to run.
type Outside struct {
	Kind       reports.Kind // Broke, StillFailing, Failing, Flaky, Fixed, NotRun or Gone
	Suite      string       // path of the suite
	Occurrence int          // from 1; greater if the same node of a suite failed several times
	Failure    reports.SuiteFailure
	Now        bool // whether it is in this run; otherwise Failure is that of the baseline run
	Age        Age  // zero unless Now is set
	NotRun     int  // number of specs of the suite that it kept from running
}

// Spec returns the failure as a spec, for outputs that list both. The node is in brackets, so that
// the key differs from that of a spec with the same text.
func (o *Outside) Spec() reports.Spec {
	s := reports.Spec{Suite: o.Suite, Leaf: "[" + o.Failure.Node + "]", Occurrence: o.Occurrence, Message: o.Failure.Message, File: o.Failure.File, Line: o.Failure.Line}
	if o.Now {
		s.State = reports.Failed
	}
	return s
}

// Name returns the suite and the node, followed by the occurrence if it is not the first.
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

// OutsideOf returns the failures outside the specs, in the order of the suites.
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

// CompareOutside compares the failures outside the specs of two runs; was may be nil. sameCode
// means that both runs tested the same commit.
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
		case b.whole(o.Suite): // another failure prevented it
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

// barrier determines which specs a run could not run because of a failure outside of them.
type barrier struct {
	suites map[string]*barred
	build  bool // a build failed, and the results do not contain the suites that it affected
}

type barred struct {
	nodes  []string // failed nodes that keep specs from running
	listed bool     // whether the suite is in the results
	ran    bool     // whether a spec of it passed or failed
	died   bool     // whether a Go test ended the process of its package
}

// unknownBuild is the path of the suite of a failed build if the file does not state what was built.
const unknownBuild = "go build"

var (
	goTestName = regexp.MustCompile(`^(Test|Benchmark|Example|Fuzz)([^a-z]|$)`)
	// Nodes that run after the specs keep none of them from running.
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

// whole reports whether no spec of the suite could run.
func (b *barrier) whole(path string) bool {
	s := b.suites[path]
	return s != nil && len(s.nodes) > 0 && !s.ran
}

// missing reports whether a spec that is not in the results was kept from running.
func (b *barrier) missing(s *reports.Spec) bool {
	in := b.suites[s.Suite]
	if in == nil {
		return b.build
	}
	if in.died {
		return true
	}
	for _, node := range in.nodes {
		// If a Go test failed outside of its subtests, only subtests of it may be missing.
		if !goTestName.MatchString(node) || strings.HasPrefix(s.Leaf, node+"/") {
			return true
		}
	}
	return false
}

// skipped reports whether a skipped spec was kept from running, because the suite ended early or
// its set-up failed, as opposed to a spec that skipped itself. The spec is in the results.
func (b *barrier) skipped(s *reports.Spec) bool {
	in := b.suites[s.Suite]
	if s.State != reports.Skipped || len(in.nodes) == 0 {
		return false
	}
	return !in.ran || s.Message == "" || strings.HasPrefix(s.Message, "not run")
}

// any reports whether specs may have been kept from running.
func (b *barrier) any() bool {
	for _, s := range b.suites {
		if len(s.nodes) > 0 || s.died {
			return true
		}
	}
	return b.build
}

// recall adds to the baseline results the specs that could not run, in the state that they had
// when their suite last ran. Otherwise a suite that can be built again would have only new specs.
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
	if at < 1 { // the baseline run is of another branch, or the oldest of the window
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
	last := map[string]int{}           // index of the last run in which the suite ran without such failures
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

// lastCode returns the newest code of a run in which the spec ran, otherwise its newest code, or
// history.Absent if no run contains it.
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

// addOutside compares the failures outside the specs with those of the baseline run and determines
// how long each has existed.
func (a *analyzer) addOutside() error {
	if a.a.Run.Suites == nil {
		return nil
	}
	a.a.Outside = CompareOutside(a.was, a.a.Run.Suites, a.a.Previous != nil && sameCommit(*a.a.Previous, a.row.Line()))
	if err := a.outsideBothWays(); err != nil {
		return err
	}
	a.addClusters()
	counted := map[string]bool{}
	for i := range a.a.Outside {
		o := &a.a.Outside[i]
		if !o.Now || counted[o.Suite] || nodeAfter.MatchString(o.Failure.Node) {
			continue
		}
		counted[o.Suite] = true // attribute the specs to the first failure of a suite
		for k := range a.a.Moves {
			if m := &a.a.Moves[k]; m.Kind == reports.NotRun && (m.Spec.Suite == o.Suite || o.Suite == unknownBuild) {
				o.NotRun++
			}
		}
	}
	if a.Reader == nil {
		return nil
	}
	return a.outsideStreaks()
}

// outsideBothWays marks failures as flaky that did not occur in another run of the same commit.
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

// outsideStreaks walks back through the runs of the window until each failure has one in
// which its suite ran without it.
func (a *analyzer) outsideStreaks() error {
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

// NewOutside returns the failures outside the specs that the baseline run did not have. Like
// [Analysis.NewFailures], they make a run fail.
func (a *Analysis) NewOutside() []Outside {
	var all []Outside
	for _, o := range a.Outside {
		if o.Now && (o.Kind == reports.Broke || o.Kind == reports.Flaky) {
			all = append(all, o)
		}
	}
	return all
}
