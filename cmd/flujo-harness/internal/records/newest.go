package records

import (
	"context"
	"fmt"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
)

// NewestTests returns the run that a command about specs takes unless one is named: the newest that
// was to run tests, even if they gave no results, so that an older run never hides them. With a store
// it is one that was here before. Runs that only measured or compared are passed over, which note
// reports; if there is nothing else, that is an error. It returns 0 for a history without runs.
func NewestTests(ctx context.Context, h *history.History, store *Shared) (id int64, note string, err error) {
	var newest int64
	if store != nil && store.Newest != 0 {
		newest, id = store.Newest, store.tests
	} else if newest, id, err = newestRuns(ctx, h); err != nil {
		return 0, "", cli.Fault(err)
	} else if newest == 0 {
		return 0, "", nil
	}
	run, err := h.Load(ctx, newest)
	if err != nil {
		return 0, "", cli.Fault(err)
	}
	if !run.OnlyMeasured() {
		return id, "", nil
	}
	what, how := run.Measured()
	if id == newest {
		return 0, "", cli.Fault(fmt.Errorf("no run here has specs: run %d, the newest, %s %s: make one with flujo-harness run or flujo-harness ingest", newest, how, what))
	}
	taken, err := h.Load(ctx, id)
	if err != nil {
		return 0, "", cli.Fault(err)
	}
	of := ""
	if taken.Commit != "" {
		of = fmt.Sprintf(" of commit %.12s", taken.Commit)
	}
	return id, reports.Visible(fmt.Sprintf("note: run %d %s %s and has no specs: taking run %d%s, the newest run of tests", newest, how, what, id, of)), nil
}

// newestRuns returns the newest run of the history and the newest run of tests, which is the same if there is none
// of tests. Both are 0 for a history without runs.
func newestRuns(ctx context.Context, h *history.History) (newest, tests int64, err error) {
	lines, _, err := h.Lines(ctx, 1)
	if err != nil || len(lines) == 0 {
		return 0, 0, err
	}
	of, err := h.LinesOfTests(ctx, 1)
	if err != nil || len(of) == 0 {
		return lines[0].ID, lines[0].ID, err
	}
	return lines[0].ID, of[0].ID, nil
}

// CheckTests returns an error if a run was to run no tests, so that it has no specs.
func CheckTests(run *reports.Run) error {
	if !run.OnlyMeasured() {
		return nil
	}
	what, how := run.Measured()
	return fmt.Errorf("run %d %s %s; it has no specs: name another with --run", run.ID, how, what)
}
