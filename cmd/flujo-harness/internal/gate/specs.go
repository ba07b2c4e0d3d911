package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/revisions"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/thresholds"
)

// specGate holds the conditions for the specs of a run.
type specGate struct {
	db       string
	run      int64
	target   float64       // percent; 0 means none
	file     string        // file of the plan
	plan     *reports.Plan // nil if there is none, or if target is set
	whose    string        // note to print if the change has another plan than the base
	noNew    bool
	maxFlaky int // -1 means no limit
	minSpecs int
	against  string
	store    records.StoreFlags
}

func (g *specGate) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&g.db, "db", "", "history database (default .flujo/history.db of the module)")
	f.Int64Var(&g.run, "run", 0, "number of the run whose specs are judged (default the newest run of tests)")
	f.Float64Var(&g.target, "target", 0, "least pass rate in percent of the specs that ran (default that of the plan)")
	f.StringVar(&g.file, "plan", "", "TOML file of the target and the phases (default thresholds/plan.toml of the module, where it is)")
	f.BoolVar(&g.noNew, "no-new-failures", false, "no failure may be by this change: red at the merge base, known flaky and quarantined ones are named")
	f.StringVar(&g.against, "against", "", "compare with this branch, recorded run (its number) or commit (default the merge base with the base branch)")
	g.store.Register(cmd)
	f.IntVar(&g.maxFlaky, "max-flaky", -1, "most specs that may be flaky: passed only when retried, or pass and fail at one commit")
	f.IntVar(&g.minSpecs, "min-specs", 0, "least number of specs that must have run")
}

// check reports whether there are conditions for the specs. A plan is a condition if the flags
// refer to the history, or if alone is set, which means that nothing else is judged. With a base,
// the plan of the base is used, so that a change cannot lower its own target.
func (g *specGate) check(cmd *cobra.Command, p project.Project, alone bool, base string) (asked bool, err error) {
	given := cmd.Flags().Changed
	asked = given("target") || g.noNew || given("max-flaky") || given("min-specs")
	if !given("target") && (asked || alone || given("db") || given("run") || given("plan")) {
		if g.plan, err = revisions.ReadPlan(p, g.file); err != nil {
			return asked, err
		}
		if base != "" {
			was, err := revisions.PlanAt(cmd.Context(), p, base, g.file)
			switch {
			case err != nil:
				return asked, err
			case was == nil && g.plan != nil:
				g.whose = fmt.Sprintf("note: %s has no plan: judged by the one that this change adds", base)
			case !reflect.DeepEqual(was, g.plan):
				g.plan, g.whose = was, fmt.Sprintf("note: judged by the plan of %s, which this change alters", base)
			}
		}
		asked = asked || g.plan != nil
	}
	switch {
	case given("target") && !(g.target > 0 && g.target <= 100):
		return asked, fmt.Errorf("--target %v: a pass rate in percent is above 0 and at most 100", g.target)
	case given("max-flaky") && g.maxFlaky < 0:
		return asked, fmt.Errorf("--max-flaky %d: a number of specs is 0 or more", g.maxFlaky)
	case given("min-specs") && g.minSpecs < 1:
		return asked, fmt.Errorf("--min-specs %d: it must be 1 at least; a run without specs is a fault anyway", g.minSpecs)
	case given("run") && g.run < 1:
		return asked, fmt.Errorf("--run %d: runs are numbered from 1", g.run)
	case !asked && (given("db") || given("run")):
		return asked, errors.New("--db and --run choose a run of the history: say what its specs must be with --target, --no-new-failures, --max-flaky or --min-specs")
	}
	return asked, nil
}

// judge judges a run of the history. It returns an error if the run cannot be judged. unknown
// means that specs failed and it is not known whether the change caused it: then the gate is
// never green, even without --strict.
func (g *specGate) judge(ctx context.Context, p project.Project) (a *analysis.Analysis, lines []string, worst thresholds.Outcome, unknown bool, err error) {
	history, store, err := g.store.OpenShared(ctx, p, p.History(g.db))
	if err != nil {
		return nil, nil, worst, false, err
	}
	defer history.Close()
	defer store.Close()
	lines = store.Lines()
	if g.run == 0 {
		var note string
		if g.run, note, err = records.NewestTests(ctx, history, store); err != nil {
			return nil, nil, worst, false, err
		}
		if note != "" {
			lines = append(lines, note)
		}
	}
	ledger, err := p.Quarantine()
	if err != nil {
		return nil, nil, worst, false, cli.Usage(err)
	}
	if err := records.SaveMemory(ctx, history); err != nil {
		return nil, nil, worst, false, cli.Fault(err)
	}
	a, err = records.Analyzed(analysis.Analyze(ctx, history, analysis.Options{Run: g.run, Plan: g.plan, Now: time.Now(), Against: g.against, Ancestry: p.Ancestry(), Quarantine: ledger}))
	if err != nil {
		return nil, nil, worst, false, err
	}
	if err := records.CheckTests(&a.Run); err != nil {
		return nil, nil, worst, false, err
	}
	if err := judgeable(a); err != nil {
		return nil, nil, worst, false, fmt.Errorf("run %d: %w", a.Run.ID, err)
	}
	if other := p.OtherCommit(ctx, a.Run.Commit); other != "" {
		lines = append(lines, reports.Visible(fmt.Sprintf("note: run %d: %s", a.Run.ID, other)))
	}
	if g.whose != "" {
		lines = append(lines, g.whose)
	}
	worst = thresholds.Held
	add := func(o thresholds.Outcome, format string, args ...any) {
		lines, worst = append(lines, verdictLine(o, fmt.Sprintf("run %d: ", a.Run.ID)+fmt.Sprintf(format, args...))), cli.Worse(worst, o)
	}
	switch outside := outsideText(a); {
	case a.Run.Suites.SuiteFailures() > 0 && !g.onlyNew(a):
		add(thresholds.Broken, "failures outside the specs: %s", outside)
	case outside != "":
		lines = append(lines, reports.Visible(fmt.Sprintf("run %d: failures outside the specs: %s", a.Run.ID, outside)))
	}
	if gone := ledger.Expired(time.Now()); len(gone) > 0 {
		add(thresholds.Broken, "quarantine: %d expired, the first that of %q on %s: fix the spec and remove the entry, or renew it in review", len(gone), gone[0].Spec, gone[0].Expires)
	}
	gone, skipped := a.NotRun()
	if g.noNew || len(gone)+len(skipped) > 0 {
		lines = append(lines, fmt.Sprintf("run %d: %s", a.Run.ID, reports.Visible(comparedWith(a.Baseline))))
	}
	for _, of := range []struct {
		what  string
		specs []analysis.Move
	}{{"no longer there", gone}, {"no longer run", skipped}} {
		if len(of.specs) > 0 {
			lines = append(lines, fmt.Sprintf("run %d: %s: %s", a.Run.ID, of.what, reports.Visible(missingNames(of.specs))))
		}
	}
	switch target, whose, due := g.aim(a); {
	case target > 0:
		counts, of := a.Counts, ""
		if n := failedBefore(gone); n > 0 {
			counts.Failed += n
			of = fmt.Sprintf(", counting as failed what failed in run %d and is gone (%s)", a.Baseline.Run.ID, cli.Plural(int64(n), "spec"))
		}
		t := analysis.NewTarget(target, counts)
		outcome := heldIf(t.Reached)
		if outcome == thresholds.Broken && !due {
			outcome = thresholds.Inconclusive
		}
		add(outcome, "pass rate: %v; of all %d: %s; target %v%%%s%s: %s", a.Rate, a.RateAll.Of, a.RateAll.Percent(), target, whose, of, t)
	case !g.noNew && g.maxFlaky < 0 && g.minSpecs == 0:
		return nil, nil, worst, false, cli.Usage(errors.New("gate: the plan has no target for this run: add one to it or to the phase, or give --target"))
	}
	if g.noNew {
		var outcome thresholds.Outcome
		var text string
		outcome, text, unknown = newFailures(a)
		add(outcome, "new failures: %s", text)
		lines = append(lines, whoseLines(a)...)
		if n := len(a.Baseline.Rescued); n > 0 {
			lines = append(lines, fmt.Sprintf("run %d: passed here and failed in an earlier run of the same commit: %s; --max-flaky bounds such specs",
				a.Run.ID, reports.Visible(records.FirstNames(a.Baseline.Rescued))))
		}
	}
	if g.maxFlaky >= 0 {
		flaky := a.FlakyNow()
		add(heldIf(len(flaky) <= g.maxFlaky), "flaky specs: %s; at most %d may be", records.FirstNames(flaky), g.maxFlaky)
	}
	if g.minSpecs > 0 {
		of := ""
		if len(gone)+len(skipped) > 0 {
			of = fmt.Sprintf(" (%d fewer than in run %d, named above)", len(gone)+len(skipped), a.Baseline.Run.ID)
		}
		add(heldIf(a.Rate.Of >= g.minSpecs), "specs that ran: %d%s; at least %d must", a.Rate.Of, of, g.minSpecs)
	}
	return a, lines, worst, unknown, nil
}

// comparedWith says which run a run is compared with, and why.
func comparedWith(ref *analysis.Baseline) string {
	if ref.Run == nil {
		return "compared with no run: " + ref.Why
	}
	commit := "of no known commit"
	if ref.Run.Commit != "" {
		commit = fmt.Sprintf("of commit %.12s", ref.Run.Commit)
	}
	return fmt.Sprintf("compared with run %d %s: %s", ref.Run.ID, commit, ref.Why)
}

// newFailures judges the failures of a run by their cause: failures caused by the change break,
// those of unknown cause are inconclusive, and the others are only listed. unknown means that
// there are failures of unknown cause and none caused by the change.
func newFailures(a *analysis.Analysis) (outcome thresholds.Outcome, text string, unknown bool) {
	mine, open := a.Of(analysis.ByThisChange), a.Of(analysis.Unknown)
	outcome, text = thresholds.Held, "none"
	if len(mine) > 0 {
		outcome, text = thresholds.Broken, failureNames(mine)
		if b := a.Baseline.Run; b != nil {
			text += fmt.Sprintf(" (since run %d)", b.ID)
		}
	}
	if len(open) > 0 {
		unknown = len(mine) == 0
		if unknown {
			outcome = thresholds.Inconclusive
		}
		if a.Baseline.Run == nil {
			text = fmt.Sprintf("%s, and there is no run to compare with: %s; make a run of the base first", cli.Plural(int64(len(open)), "failure"), a.Baseline.Why)
		} else {
			more := "none is known to be new, but of these nobody knows: "
			switch {
			case len(mine) > 0:
				more = text + "; of these nobody knows: "
			case a.Baseline.Unsure:
				more = fmt.Sprintf("none is known to be new, but these fail in run %d too, which may be of the same code: ", a.Baseline.Run.ID)
			}
			text = more + failureNames(open) + ": " + open[0].Why
		}
	}
	if still := a.Of(analysis.RedOnMain); len(still) > 0 && len(mine)+len(open) == 0 {
		text = fmt.Sprintf("none; these failed in run %d too: %s", a.Baseline.Run.ID, failureNames(still))
	}
	return outcome, text, unknown
}

// whoseLines lists the failures that the change did not cause, with the evidence for the first.
func whoseLines(a *analysis.Analysis) (lines []string) {
	for _, whose := range []analysis.Whose{analysis.RedOnMain, analysis.KnownFlaky, analysis.Quarantined} {
		if of := a.Of(whose); len(of) > 0 {
			lines = append(lines, reports.Visible(fmt.Sprintf("run %d: %s: %s: %s", a.Run.ID, whose, failureNames(of), of[0].Why)))
		}
	}
	if len(a.Of(analysis.KnownFlaky)) > 0 {
		lines = append(lines, fmt.Sprintf("run %d: a known flake breaks only where its failures are too many for its rate (p below %v); --max-flaky bounds their number", a.Run.ID, analysis.MaxChance))
	}
	return lines
}

// outsideText lists the failures outside the specs by their kind of change, with the number of
// specs that did not run because of them. It returns "" if there are none.
func outsideText(a *analysis.Analysis) string {
	var parts []string
	for _, as := range []struct {
		what  string
		kinds []reports.Kind
	}{
		{"new", []reports.Kind{reports.Broke, reports.Flaky}},
		{"without a run to compare with", []reports.Kind{reports.Failing}},
		{"still failing", []reports.Kind{reports.StillFailing}},
		{"fixed", []reports.Kind{reports.Fixed}},
		{"not run", []reports.Kind{reports.NotRun}},
		{"no longer there", []reports.Kind{reports.Gone}},
	} {
		var names []string
		for i := range a.Outside {
			o := &a.Outside[i]
			kind := o.Kind
			if kind == reports.Flaky && !o.Now { // it failed only in another run of this commit
				kind = reports.Fixed
			}
			if slices.Contains(as.kinds, kind) {
				names = append(names, o.Name())
			}
		}
		if len(names) > 0 {
			parts = append(parts, as.what+": "+records.ListNames(len(names), func(i int) string { return names[i] }))
		}
	}
	if a.Blocked > 0 && a.Run.Suites.SuiteFailures() > 0 {
		parts = append(parts, cli.Plural(int64(a.Blocked), "spec")+" not run for them")
	}
	return strings.Join(parts, "; ")
}

// failureNames returns the number of failures and the first few names.
func failureNames(failures []analysis.Failure) string {
	return records.ListNames(len(failures), func(i int) string { return failures[i].Name() })
}

// onlyNew reports whether the gate only checks for new failures, and no failure outside the specs
// is caused by the change or of unknown cause.
func (g *specGate) onlyNew(a *analysis.Analysis) bool {
	for _, f := range a.Failures {
		if f.Outside != nil && (f.Whose == analysis.ByThisChange || f.Whose == analysis.Unknown) {
			return false
		}
	}
	return g.noNew
}

// failedBefore returns the number of moves of specs that failed before.
func failedBefore(moves []analysis.Move) (n int) {
	for _, m := range moves {
		if m.Before == reports.Failed {
			n++
		}
	}
	return n
}

// missingNames is like records.FirstNames for missing specs. Those that failed are listed first,
// and marked.
func missingNames(moves []analysis.Move) string {
	order := slices.Clone(moves)
	slices.SortStableFunc(order, func(x, y analysis.Move) int {
		return cmp.Compare(bit(x.Before != reports.Failed), bit(y.Before != reports.Failed))
	})
	return records.ListNames(len(order), func(i int) string {
		if order[i].Before == reports.Failed {
			return order[i].Spec.Name() + " (it failed)"
		}
		return order[i].Spec.Name()
	})
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// aim returns the target pass rate in percent, or 0 if there is none, a description of its
// source, and whether it is due.
func (g *specGate) aim(a *analysis.Analysis) (target float64, whose string, due bool) {
	if g.plan == nil {
		return g.target, "", true
	}
	target, whose, due = g.plan.Target, " of the plan", true
	for i, phase := range a.Phases {
		if phase.To == nil {
			continue
		}
		of, mine := g.plan.Phases[i], phase.To.ID == a.Run.ID
		if of.Target > 0 && (mine || g.plan.Target == 0) { // a target that an earlier phase reached still applies
			target, whose = of.Target, fmt.Sprintf(" of phase %q", of.Name)
		}
		if !mine || !phase.Open || of.Target == 0 && g.plan.Target == 0 {
			continue
		}
		switch {
		case !of.Until.IsZero():
			whose, due = whose+", until "+of.Until.UTC().Format("2006-01-02 15:04 UTC"), false
		case of.Run != 0:
			whose, due = fmt.Sprintf("%s, until run %d", whose, of.Run), false
		}
	}
	return target, whose, due
}

func heldIf(ok bool) thresholds.Outcome {
	if ok {
		return thresholds.Held
	}
	return thresholds.Broken
}

// judgeable returns an error if the specs of a run cannot be judged. Such a run is never green.
func judgeable(a *analysis.Analysis) error {
	switch r := a.Run; {
	case r.SuiteError != "":
		return fmt.Errorf("its suites gave no results (%s): run them again", r.SuiteError)
	case r.Suites == nil:
		return errors.New("its tests gave no results: run them again")
	case !r.Complete:
		return errors.New("it was interrupted: run it again and let it finish")
	case r.Suites.Focused():
		return errors.New("programmatic focus: not every spec was asked for; remove it (ginkgo unfocus) and run again")
	case a.Rate.Of == 0 && r.Suites.SuiteFailures() > 0:
		return fmt.Errorf("none of its %d specs ran; failures outside the specs: %s", a.RateAll.Of, outsideText(a))
	case a.Rate.Of == 0:
		return fmt.Errorf("none of its %d specs ran", a.RateAll.Of)
	}
	return nil
}
