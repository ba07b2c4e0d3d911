package records

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/measure"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/revisions"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/thresholds"
)

// AnalysisFlags are the flags of commands that analyze the history.
type AnalysisFlags struct {
	plan   string
	Limits string
	target float64
	Window int
	cost   string

	against string
	source  string
}

// Register adds the flags to a command.
func (f *AnalysisFlags) Register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.plan, "plan", "", "TOML file with the target and the phases (default thresholds/plan.toml of the module, if it exists)")
	cmd.Flags().Float64Var(&f.target, "target", 0, "target pass rate, in percent of the specs that ran (default from the plan)")
	cmd.Flags().StringVar(&f.Limits, "limits", "", "folder of the limits files, whose ledger the report shows (default thresholds/limits of the module)")
	cmd.Flags().IntVar(&f.Window, "window", analysis.DefaultWindow, "number of runs analyzed for the trend, flakes and slowing specs")
	cmd.Flags().StringVar(&f.against, "against", "", "compare with this branch, recorded run (by number) or commit (default the merge base with the base branch)")
	cmd.Flags().StringVar(&f.source, "source-url", "", "web address of the module's folder, for links to files; {commit} is replaced (default from CI and the git remote)")
	cmd.Flags().StringVar(&f.cost, "cost", "", "file written by flujo-harness cost --json: the report shows its curve and the parts of the cost")
}

// Options reads the files that the flags name.
func (f *AnalysisFlags) Options(p project.Project) (analysis.Options, error) {
	o := analysis.Options{Window: f.Window, Root: p.Root, Source: project.Commits{Project: p}, Now: time.Now()}
	if u, err := url.Parse(f.source); f.source != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		return o, cli.Usage(fmt.Errorf("--source-url %q: use an address that starts with https://, such as https://github.com/owner/name/blob/{commit}/", f.source))
	}
	if f.Window < 1 {
		return o, cli.Usage(fmt.Errorf("--window %d: use 1 or more", f.Window))
	}
	var err error
	if o.Plan, err = revisions.ReadPlan(p, f.plan); err != nil {
		return o, cli.Usage(err)
	}
	if f.target != 0 {
		if err := reports.CheckTarget(f.target); err != nil {
			return o, cli.Usage(err)
		}
		with := reports.Plan{Target: f.target}
		if o.Plan != nil {
			with.Phases = o.Plan.Phases
		}
		o.Plan = &with
	}
	o.Against, o.Ancestry = f.against, p.Ancestry()
	if o.Quarantine, err = p.Quarantine(); err != nil {
		return o, cli.Usage(err)
	}
	files, err := filepath.Glob(filepath.Join(p.Path(f.Limits, "thresholds/limits"), "*.toml"))
	if err != nil {
		return o, cli.Usage(err)
	}
	for _, path := range files {
		limits, err := thresholds.Read(path)
		if err != nil {
			return o, cli.Usage(err)
		}
		o.Limits = append(o.Limits, limits)
	}
	return o, nil
}

// Analyzed classifies the error of an analysis for the exit code and adds a remedy.
func Analyzed(a *analysis.Analysis, err error) (*analysis.Analysis, error) {
	var plan *reports.PlanError
	var against *analysis.AgainstError
	switch {
	case errors.As(err, &plan), errors.As(err, &against):
		return nil, cli.Usage(err)
	case errors.Is(err, history.ErrNoRun): // only a flag names a run that may not exist
		return nil, cli.Usage(fmt.Errorf("%w: flujo-harness history lists the runs", err))
	case errors.Is(err, analysis.ErrNoRuns):
		return nil, cli.Fault(fmt.Errorf("%w: record one with flujo-harness run or flujo-harness ingest", err))
	case err != nil:
		return nil, cli.Fault(err)
	}
	return a, nil
}

// manySpecs is the number of specs in a run from which the analysis sets GOGC to 20 in place
// of 100, trading CPU time for memory. A run of 100,000 failing specs then takes 110 MiB
// (BenchmarkMemoryOfReports).
const manySpecs = 20_000

// SaveMemory lowers GOGC if one of the newest runs has many specs. The setting remains: most
// commands end after their report, and serve reports the same runs again.
func SaveMemory(ctx context.Context, h *history.History) error {
	lines, _, err := h.Lines(ctx, 10)
	for i := range lines {
		if lines[i].Counts.All() >= manySpecs {
			debug.SetGCPercent(20)
		}
	}
	return err
}

// Analyze returns the analysis of a run of the history; run 0 is the newest.
func (f *AnalysisFlags) Analyze(ctx context.Context, h *history.History, o analysis.Options, run int64) (*analysis.Analysis, error) {
	o.Run = run
	if err := SaveMemory(ctx, h); err != nil {
		return nil, cli.Fault(err)
	}
	a, err := Analyzed(analysis.Analyze(ctx, h, o))
	if err != nil {
		return nil, err
	}
	if f.source != "" {
		a.Run.Origin.FileURL = strings.TrimSuffix(strings.ReplaceAll(f.source, "{commit}", a.Run.Commit), "/") + "/"
	}
	if f.cost != "" {
		c, err := measure.ReadCosts(f.cost)
		if err != nil {
			return nil, err
		}
		a.Curve, a.Attribution = c.Curve, c.Waterfall
	}
	return a, nil
}

// maxJobs is the maximum number of jobs of one pipeline that are analyzed.
const maxJobs = 50

// OfPipeline returns the analyses of all runs of the pipeline on whose behalf the job runs: for
// each cell of the pipeline's matrix, that of the newest run of tests and of the newest run that
// only measured in the attempt, if the history has them. For a job that does not run on behalf of
// another workflow, it returns a alone.
func (f *AnalysisFlags) OfPipeline(ctx context.Context, h *history.History, o analysis.Options, a *analysis.Analysis, of project.CIRun) (all []*analysis.Analysis, err error) {
	if !of.OnBehalf {
		return []*analysis.Analysis{a}, nil
	}
	var ids []int64
	err = h.Read(ctx, func(r *history.Reader) error {
		rows, err := r.Rows("WHERE commit_id = ? ORDER BY at DESC, id DESC LIMIT 500", of.Commit)
		type kind struct {
			cell     string
			measured bool
		}
		seen := map[kind]bool{}
		for i := range rows {
			origin, err := r.Origin(rows[i].ID)
			if err != nil {
				return err
			}
			line := rows[i].Line()
			one := kind{line.Cell, line.Measured}
			if of.SamePipeline(origin) && !seen[one] && len(ids) < maxJobs {
				seen[one], ids = true, append(ids, rows[i].ID)
			}
		}
		return err
	})
	if err != nil {
		return nil, cli.Fault(err)
	}
	for _, id := range ids {
		one, err := f.Analyze(ctx, h, o, id)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}
