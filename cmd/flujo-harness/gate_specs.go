package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/thresholds"
)

// specGate is what the specs of a run must be.
type specGate struct {
	db       string
	run      int64
	target   float64       // percent; 0: not asked for
	file     string        // of the plan
	plan     *reports.Plan // nil: none, or there is a target
	whose    string        // whose plan it is, where a change brings another; a line to print
	noNew    bool
	maxFlaky int // -1: not asked for
	minSpecs int
}

func (g *specGate) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&g.db, "db", "", "history database (default .flujo/history.db of the module)")
	f.Int64Var(&g.run, "run", 0, "number of the run whose specs are judged (default the newest)")
	f.Float64Var(&g.target, "target", 0, "least pass rate in percent of the specs that ran (default that of the plan)")
	f.StringVar(&g.file, "plan", "", "TOML file of the target and the phases (default thresholds/plan.toml of the module, where it is)")
	f.BoolVar(&g.noNew, "no-new-failures", false, "no spec may fail that did not fail in the run before")
	f.IntVar(&g.maxFlaky, "max-flaky", -1, "most specs that may be flaky: passed only when retried, or pass and fail at one commit")
	f.IntVar(&g.minSpecs, "min-specs", 0, "least number of specs that must have run")
}

// check reports whether anything was asked of the specs. A plan asks where the history is
// meant, and where alone says that nothing else is judged. With a base it is the plan of
// the base, which a change cannot lower for itself.
func (g *specGate) check(cmd *cobra.Command, p project, alone bool, base string) (asked bool, err error) {
	given := cmd.Flags().Changed
	asked = given("target") || g.noNew || given("max-flaky") || given("min-specs")
	if !given("target") && (asked || alone || given("db") || given("run") || given("plan")) {
		if g.plan, err = p.plan(g.file); err != nil {
			return asked, err
		}
		if base != "" {
			was, err := p.planAt(cmd.Context(), base, g.file)
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

// judge judges a run of the history. What cannot be judged is an error.
func (g *specGate) judge(ctx context.Context, p project) (lines []string, worst thresholds.Outcome, err error) {
	history, err := openRecorded(ctx, p.path(g.db, ".flujo/history.db"))
	if err != nil {
		return nil, worst, err
	}
	defer history.Close()
	a, err := accountOr(history.Account(ctx, reports.AccountOptions{Run: g.run, Plan: g.plan, Now: time.Now()}))
	if err != nil {
		return nil, worst, err
	}
	if err := judgeable(a); err != nil {
		return nil, worst, fmt.Errorf("run %d: %w", a.Run.ID, err)
	}
	if other := p.ofAnother(ctx, a.Run.Commit); other != "" {
		lines = append(lines, fmt.Sprintf("note: run %d: %s", a.Run.ID, other))
	}
	if g.whose != "" {
		lines = append(lines, g.whose)
	}
	worst = thresholds.Held
	add := func(o thresholds.Outcome, format string, args ...any) {
		lines, worst = append(lines, verdictLine(o, fmt.Sprintf("run %d: ", a.Run.ID)+fmt.Sprintf(format, args...))), worse(worst, o)
	}
	if n := a.Run.Suites.SuiteFailures(); n > 0 {
		add(thresholds.Broken, "suites: %d failure(s) that no spec carries", n)
	}
	switch target, whose, due := g.aim(a); {
	case target > 0:
		t := reports.NewTarget(target, a.Counts)
		outcome := heldIf(t.Reached)
		if outcome == thresholds.Broken && !due {
			outcome = thresholds.Inconclusive
		}
		add(outcome, "pass rate: %v; of all %d: %s; target %v%%%s: %s", a.Rate, a.RateAll.Of, a.RateAll.Percent(), target, whose, t)
	case !g.noNew && g.maxFlaky < 0 && g.minSpecs == 0:
		return nil, worst, usage(errors.New("gate: the plan has no target for this run: add one to it or to the phase, or give --target"))
	}
	if g.noNew {
		fresh := a.NewFailures()
		switch {
		case a.Previous == nil && a.Counts.Failed > 0:
			add(thresholds.Inconclusive, "new failures: %d specs fail, and there is no earlier run to compare with", a.Counts.Failed)
		case len(fresh) > 0:
			add(thresholds.Broken, "new failures: %s (since run %d)", firstNames(fresh), a.Previous.ID)
		default:
			add(thresholds.Held, "new failures: none")
		}
	}
	if g.maxFlaky >= 0 {
		flaky := a.FlakyNow()
		add(heldIf(len(flaky) <= g.maxFlaky), "flaky specs: %s; at most %d may be", firstNames(flaky), g.maxFlaky)
	}
	if g.minSpecs > 0 {
		add(heldIf(a.Rate.Of >= g.minSpecs), "specs that ran: %d; at least %d must", a.Rate.Of, g.minSpecs)
	}
	return lines, worst, nil
}

// aim is the pass rate to judge by in percent, 0 for none, whose it is, and whether its time
// has come.
func (g *specGate) aim(a *reports.Account) (target float64, whose string, due bool) {
	if g.plan == nil {
		return g.target, "", true
	}
	target, whose, due = g.plan.Target, " of the plan", true
	for i, phase := range a.Phases {
		if phase.To == nil {
			continue
		}
		of, mine := g.plan.Phases[i], phase.To.ID == a.Run.ID
		if of.Target > 0 && (mine || g.plan.Target == 0) { // what an earlier phase has reached must stay so
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

// judgeable finds what makes the specs of a run say nothing: never green.
func judgeable(a *reports.Account) error {
	switch r := a.Run; {
	case r.SuiteError != "":
		return fmt.Errorf("its suites gave no results (%s): run them again", r.SuiteError)
	case r.Suites == nil:
		return errors.New("suites were not part of it: judge another with --run, or make one with flujo-harness run")
	case !r.Complete:
		return errors.New("it was interrupted: run it again and let it finish")
	case r.Suites.Focused():
		return errors.New("programmatic focus: not every spec was asked for; remove it (ginkgo unfocus) and run again")
	case a.Rate.Of == 0:
		return fmt.Errorf("none of its %d specs ran", a.RateAll.Of)
	}
	return nil
}

// firstNames is "none", or a number with the first few names.
func firstNames(specs []reports.Spec) string {
	const most = 5
	if len(specs) == 0 {
		return "none"
	}
	var names []string
	for i := range specs[:min(len(specs), most)] {
		names = append(names, specs[i].Name())
	}
	s := fmt.Sprintf("%d: %s", len(specs), strings.Join(names, ", "))
	if more := len(specs) - most; more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}
