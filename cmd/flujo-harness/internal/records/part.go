package records

import (
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
)

// Part is what a run found out about specs, as it stands in a results file under
// "suites": enough to make one run of the parts.
type Part struct {
	Shard  string             `json:"shard"`  // "2/3"; "1/1": all
	Suites []string           `json:"suites"` // import paths of all parts together
	Format string             `json:"format"` // of what was read: "Ginkgo JSON"
	Runs   []*reports.Results `json:"runs"`   // one for each repetition

	Problem     string `json:"problem,omitempty"`     // what makes the results no good, green as they may be
	Interrupted bool   `json:"interrupted,omitempty"` // not all was run
}

// Clean is the part without its secrets.
func (p Part) Clean() Part {
	runs := make([]*reports.Results, len(p.Runs))
	for i := range p.Runs {
		r := analysis.Redacted(reports.Run{Suites: p.Runs[i], SuiteError: p.Problem})
		runs[i], p.Problem = r.Suites, r.SuiteError
	}
	p.Runs = runs
	return p
}
