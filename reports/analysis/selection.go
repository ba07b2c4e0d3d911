package analysis

import (
	"github.com/flujo/flujo-harness/reports"
)

// askedFor returns the baseline results without specs that this run was not asked to run, because
// such a spec is not gone. These are the specs of packages that did not run and, if tests were
// selected by name or label, all specs that this run does not contain.
func (a *analyzer) askedFor(was *reports.Results) *reports.Results {
	selection := a.a.Run.Origin.Selection
	if was == nil || !selection.Partial {
		return was
	}
	suites, have := map[string]bool{}, map[reports.Digest]bool{}
	for i := range a.a.Run.Suites.Suites {
		suites[a.a.Run.Suites.Suites[i].Path] = true
	}
	for i := range a.a.Run.Suites.Specs {
		s := &a.a.Run.Suites.Specs[i]
		suites[s.Suite], have[s.Digest()] = true, true
	}
	asked := *was
	asked.Specs = nil
	for _, s := range was.Specs {
		if have[s.Digest()] || suites[s.Suite] && !selection.Filtered {
			asked.Specs = append(asked.Specs, s)
		}
	}
	return &asked
}

// leftOut reports whether a move only reflects that one of the two runs was partial.
func (a *analyzer) leftOut(m Move) bool {
	now := a.a.Run.Origin.Selection
	switch m.Kind {
	case reports.NewlySkipped:
		return now.Filtered
	case reports.New:
		return a.a.Previous != nil && a.a.Previous.Partial || now.Filtered && m.Now != reports.Passed
	}
	return false
}
