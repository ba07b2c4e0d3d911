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

// Part holds the spec results of one shard, stored in a results file under "suites". The parts
// of all shards together form one run.
type Part struct {
	Shard  string             `json:"shard"`           // "2/3"; "1/1" is a run without shards
	Suites []string           `json:"suites"`          // import paths of the suites of all shards
	Dealt  *reports.Dealt     `json:"dealt,omitempty"` // the suites of this shard
	Format string             `json:"format"`          // format that was read, such as "Ginkgo JSON"
	Runs   []*reports.Results `json:"runs"`            // one per repetition

	Problem     string `json:"problem,omitempty"`     // why the results must not be trusted, even if every test passed
	Interrupted bool   `json:"interrupted,omitempty"` // some specs did not run
}

// Clean returns a copy of the part without secrets in names and texts.
func (p Part) Clean() Part {
	runs := make([]*reports.Results, len(p.Runs))
	for i := range p.Runs {
		r := analysis.Redacted(reports.Run{Suites: p.Runs[i], SuiteError: p.Problem})
		runs[i], p.Problem = r.Suites, r.SuiteError
	}
	p.Runs = runs
	return p
}

// maxParts is the maximum number of runs searched for the parts of a pipeline.
const maxParts = 2000

// Parts returns the runs of a pipeline's shards, in the order of the shards, the newest attempt of
// each.
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
