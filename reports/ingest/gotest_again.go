package ingest

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
)

// packageRun is one run of the tests of a package.
type packageRun struct {
	pkg         string
	started     time.Time
	failed      bool
	first, last int            // first run: its specs are Specs[first:last] of the results
	specs       []reports.Spec // later runs: its specs
}

// roots returns the top-level tests of the run, and whether each failed.
func roots(specs []reports.Spec) map[string]bool {
	failed := map[string]bool{}
	for i := range specs {
		root, _, _ := strings.Cut(specs[i].Leaf, "/")
		failed[root] = failed[root] || specs[i].State == reports.Failed
	}
	return failed
}

// ran records a run. The specs of a first run are added to the results at once, those of later runs by
// settle.
func (g *goTestReader) ran(run packageRun, specs []reports.Spec, ended time.Time) error {
	before := g.runs[run.pkg]
	if len(before) > 0 {
		run.specs = specs
		g.again = append(g.again, run)
		g.runs[run.pkg] = append(before, run)
		for i := range specs {
			if err := g.c.keep(len(specs[i].Message) + len(specs[i].Leaf) + overhead); err != nil {
				return err
			}
		}
		return nil
	}
	if ended.After(g.latest) {
		g.latest = ended
	}
	run.first = len(g.c.results.Specs)
	for i := range specs {
		specs[i].Occurrence = 1
		if err := g.c.add(specs[i]); err != nil {
			return err
		}
	}
	run.last = len(g.c.results.Specs)
	g.runs[run.pkg] = append(before, run)
	return nil
}

// settle decides what second and later runs of packages are. If they are reruns of failed tests, as by
// gotestsum, they are further attempts of the same specs, and a pass counts. Otherwise, for example if
// the file contains the results of two platforms, they are separate specs, and every failure counts.
func (g *goTestReader) settle() error {
	if len(g.again) == 0 {
		return nil
	}
	rerun, retries := g.isRerun(), 0
	at := map[string][]int{} // indexes of specs, by package and name
	for pkg := range g.runs {
		if len(g.runs[pkg]) > 1 {
			for i := g.runs[pkg][0].first; i < g.runs[pkg][0].last; i++ {
				name := pkg + "\n" + g.c.results.Specs[i].Leaf
				at[name] = append(at[name], i)
			}
		}
	}
	for _, run := range g.again {
		for _, s := range run.specs {
			name := run.pkg + "\n" + s.Leaf
			if known := at[name]; rerun && len(known) > 0 {
				retries++
				retriedBy(&g.c.results.Specs[known[0]], s)
				continue
			}
			s.Occurrence = len(at[name]) + 1
			at[name] = append(at[name], len(g.c.results.Specs))
			if err := g.c.add(s); err != nil {
				return err
			}
		}
	}
	if rerun {
		g.c.note("results of a rerun of failed tests, counted as further attempts of the same specs: %d", retries)
	} else {
		g.c.note("packages that were tested again, not only their failed tests: %d; the results are separate specs", len(g.again))
	}
	return nil
}

// retriedBy adds a further attempt to a spec.
func retriedBy(s *reports.Spec, again reports.Spec) {
	if again.Attempts == 0 { // it was skipped
		return
	}
	s.Attempts += again.Attempts
	s.Duration += again.Duration
	switch {
	case s.State == reports.Skipped:
		again.Attempts, again.Duration, again.Occurrence = s.Attempts, s.Duration, s.Occurrence
		*s = again
	case again.State == reports.Passed && s.State == reports.Failed:
		s.State, s.Retried, s.Detail = reports.Passed, true, ""
	}
}

// isRerun reports whether all later runs of packages are reruns of failed tests. Then the first runs
// of all packages ended before the first rerun, each rerun contains only tests that failed in the
// previous run of the package, and at least one passed test is not repeated. Without the last
// condition, results of another platform on which everything failed would look the same.
func (g *goTestReader) isRerun() bool {
	if g.late || slices.ContainsFunc(g.again, func(run packageRun) bool { return !run.started.IsZero() && run.started.Before(g.latest) }) {
		return false
	}
	left := false // a passed test is not repeated
	for _, runs := range g.runs {
		state := roots(g.c.results.Specs[runs[0].first:runs[0].last])
		broken, repeated := runs[0].failed, map[string]bool{}
		for _, run := range runs[1:] {
			now := roots(run.specs)
			for root := range now {
				if was, known := state[root]; known && !was || !known && !broken {
					return false
				}
				repeated[root] = true
			}
			maps.Copy(state, now)
			broken = broken || run.failed
		}
		for root, failed := range state {
			left = left || !failed && !repeated[root]
		}
	}
	return left
}
