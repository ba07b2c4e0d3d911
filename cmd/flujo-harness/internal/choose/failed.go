package choose

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/runner"
)

// Selection is a set of tests to run.
type Selection struct {
	Only  map[string]runner.Only // see [runner.Options]
	Specs []reports.Spec         // the specs that failed, with failures outside the specs converted to specs
	Text  string                 // description for messages
}

// add adds a spec, or its whole package if the spec cannot be run alone.
func (s *Selection) add(spec *reports.Spec, format string, outside bool) {
	only, known := s.Only[spec.Suite]
	whole := known && len(only.Tests)+len(only.Specs) == 0
	s.Specs = append(s.Specs, *spec)
	byGo := format == reports.FormatGoTest || slices.Contains(spec.Labels, reports.ByGoTest)
	switch {
	case whole:
		return
	case outside || !byGo && format != reports.FormatGinkgo:
		only = runner.Only{}
	case byGo:
		top, _, _ := strings.Cut(strings.Join(append(slices.Clone(spec.Containers), spec.Leaf), "/"), "/")
		only.Tests = append(only.Tests, top)
	default:
		only.Specs = append(only.Specs, strings.Join(slices.DeleteFunc(append(slices.Clone(spec.Containers), spec.Leaf), func(t string) bool { return t == "" }), " "))
	}
	s.Only[spec.Suite] = only
}

// maxPartial is the maximum number of runs that Failed reads to find a run of all tests.
const maxPartial = 50

// Failed returns the tests that failed in the newest run of the branch, or in the newest of all
// runs if the branch has none. For tests that this run did not include, the newest earlier run
// with them counts, back to a run of all tests.
func Failed(ctx context.Context, h *history.History, branch string) (s Selection, err error) {
	s.Only = map[string]runner.Only{}
	err = h.Read(ctx, func(r *history.Reader) error {
		rows, err := r.Rows("WHERE has_suites AND branch = ? AND coalesce(fork, 0) = 0 ORDER BY at DESC, id DESC LIMIT ?", branch, maxPartial)
		if err == nil && (len(rows) == 0 || branch == "") {
			rows, err = r.Rows("WHERE has_suites AND coalesce(fork, 0) = 0 ORDER BY at DESC, id DESC LIMIT ?", maxPartial)
		}
		if err != nil || len(rows) == 0 {
			return err
		}
		l := rows[0].Line()
		s.Text = fmt.Sprintf("run %d", l.ID)
		if l.Branch != "" {
			s.Text += " of branch " + reports.Visible(l.Branch)
		}
		if l.Commit != "" {
			s.Text += fmt.Sprintf(", commit %.12s", l.Commit)
		}
		specs, suites := map[reports.Digest]bool{}, map[string]bool{} // whose results are known
		for i := range rows {
			of, err := r.Results(rows[i].ID)
			if err != nil {
				return fmt.Errorf("run %d: %w", rows[i].ID, err)
			}
			s.read(of, rows[i].Format, specs, suites)
			if l := rows[i].Line(); !l.Partial && l.Complete {
				return nil
			}
		}
		return nil
	})
	return s, err
}

// read adds the failures of a run, except those of specs and suites with a newer result.
func (s *Selection) read(of *reports.Results, format string, specs map[reports.Digest]bool, suites map[string]bool) {
	outside := analysis.OutsideOf(of.Suites)
	for i := range outside {
		if spec := outside[i].Spec(); !suites[outside[i].Suite] {
			s.add(&spec, format, true)
		}
	}
	for i := range of.Suites {
		suites[of.Suites[i].Path] = true
	}
	for i := range of.Specs {
		spec := &of.Specs[i]
		if spec.State != reports.Passed && spec.State != reports.Failed { // skipped or pending: no result
			continue
		}
		if key := spec.Digest(); !specs[key] {
			if specs[key] = true; spec.State == reports.Failed {
				s.add(spec, format, false)
			}
		}
	}
}

// NotRun returns the names of selected specs that are missing in the results of the selection:
// they were removed or renamed. A failed build or set-up has no result of its own.
func (s *Selection) NotRun(of *reports.Results) (names []string) {
	if of == nil {
		return nil
	}
	ran := map[reports.Digest]bool{}
	for i := range of.Specs {
		if state := of.Specs[i].State; state == reports.Passed || state == reports.Failed {
			ran[of.Specs[i].Digest()] = true
		}
	}
	for i := range s.Specs {
		if spec := &s.Specs[i]; !ran[spec.Digest()] && !strings.HasPrefix(spec.Leaf, "[") {
			names = append(names, spec.Name())
		}
	}
	return names
}

// Flaky returns the failed specs that are known to be flaky from the runs of the history.
func Flaky(of *reports.Results, format string, flakes []analysis.Flake) (s Selection) {
	s.Only = map[string]runner.Only{}
	known := map[reports.Digest]bool{}
	for i := range flakes {
		known[flakes[i].Spec.Digest()] = true
	}
	for i := range of.Specs {
		if spec := &of.Specs[i]; spec.State == reports.Failed && known[spec.Digest()] {
			s.add(spec, format, false)
		}
	}
	return s
}

// Rerun updates the results of the selected specs by those of their reruns. A spec that also
// passed is flaky; one that failed every time has failed with that number of attempts, by which
// the analysis distinguishes broken specs from flaky ones. Rerun returns a line for each spec.
func (s *Selection) Rerun(of *reports.Results, again []*reports.Results) (lines []string) {
	wanted := map[reports.Digest]bool{}
	for i := range s.Specs {
		wanted[s.Specs[i].Digest()] = true
	}
	pick := func(from *reports.Results) *reports.Results {
		r := &reports.Results{}
		for _, spec := range from.Specs {
			if wanted[spec.Digest()] {
				r.Specs = append(r.Specs, spec)
			}
		}
		return r
	}
	every := []*reports.Results{pick(of)}
	for _, r := range again {
		every = append(every, pick(r))
	}
	by := map[reports.Digest]reports.Spec{}
	for _, spec := range reports.Repeated(every).Specs {
		by[spec.Digest()] = spec
	}
	for i := range of.Specs {
		spec := &of.Specs[i]
		if !wanted[spec.Digest()] {
			continue
		}
		ran, failed := 0, 0
		for _, r := range every {
			for k := range r.Specs {
				if one := &r.Specs[k]; one.Digest() == spec.Digest() && (one.State == reports.Passed || one.State == reports.Failed) {
					if ran++; one.State == reports.Failed {
						failed++
					}
				}
			}
		}
		*spec = by[spec.Digest()]
		word := "flaky"
		if failed == ran {
			word = "fails each time"
		}
		lines = append(lines, reports.Visible(fmt.Sprintf("%s: failed %d of %d: %s", spec.Name(), failed, ran, word)))
	}
	return lines
}
