package records

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
)

// Part is what a run found out about specs, as it stands in a results file under
// "suites": enough to make one run of the parts.
type Part struct {
	Shard  string             `json:"shard"`           // "2/3"; "1/1": all
	Suites []string           `json:"suites"`          // import paths of all parts together
	Dealt  *reports.Dealt     `json:"dealt,omitempty"` // which of them the part has
	Format string             `json:"format"`          // of what was read: "Ginkgo JSON"
	Runs   []*reports.Results `json:"runs"`            // one for each repetition

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

// maxParts is the most runs that are searched for the parts of a pipeline.
const maxParts = 2000

// Parts are the runs of the parts of a pipeline, in the order of their parts: of each the newest
// attempt.
func Parts(ctx context.Context, h *history.History, pipeline string) (parts []reports.Run, err error) {
	newest := map[string]history.Record{}
	attempts := map[string]reports.Origin{}
	err = h.Read(ctx, func(r *history.Reader) error {
		rows, err := r.Rows("WHERE has_suites AND coalesce(partial, 0) = 1 ORDER BY at DESC, id DESC LIMIT ?", maxParts)
		if err != nil {
			return err
		}
		for i := range rows {
			o, err := r.Origin(rows[i].ID)
			if err != nil {
				return fmt.Errorf("run %d: %w", rows[i].ID, err)
			}
			was, known := attempts[o.Shard]
			if o.Shard != "" && o.Pipeline == pipeline && (!known || o.Attempt > was.Attempt) {
				newest[o.Shard], attempts[o.Shard] = rows[i], o
			}
		}
		for _, row := range newest {
			whole, err := r.Whole(row)
			if err != nil {
				return fmt.Errorf("run %d: %w", row.ID, err)
			}
			parts = append(parts, whole)
		}
		return nil
	})
	slices.SortFunc(parts, func(x, y reports.Run) int { return cmp.Compare(x.Origin.Shard, y.Origin.Shard) })
	return parts, err
}
