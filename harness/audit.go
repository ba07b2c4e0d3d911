package harness

import (
	"context"
	"errors"
	"fmt"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/stubs"
)

// auditor records what the arms of a session did and checks that all did equal work.
type auditor struct {
	session  Session
	backend  corebench.Backend
	workload Workload
	expected expected
	bad      []Finding // the first few failures
	inputs   map[int]evidence
	slots    int // slots compared
	blocks   int
	ops      int // operations of all arms
	saves    int64
	rows     int64
}

func (a *auditor) fail(check, format string, args ...any) {
	if len(a.bad) < 10 {
		a.bad = append(a.bad, Finding{Check: check, Detail: fmt.Sprintf(format, args...)})
	}
}

// The checks of the audit.
const (
	checkWork       = "equal work"
	checkSaves      = "saves counted"
	checkRows       = "saves read back"
	checkDurability = "durability"
	checkScripts    = "scripts"
	checkRuns       = "runs accounted for"
	checkSamples    = "samples"
	checkSession    = "session"
)

// slot compares what an arm did in a slot with what the other arms did in that round.
func (a *auditor) slot(arm *arm, round, runs int) error {
	a.ops += runs
	if arm.work == nil || arm.copies {
		return nil
	}
	runs *= arm.atOnce
	ev, err := arm.work.evidence()
	if err != nil {
		return err
	}
	if a.inputs == nil {
		a.inputs = map[int]evidence{}
	}
	a.slots++
	want, ok := a.inputs[round]
	if !ok {
		a.inputs[round] = ev
		want = ev
	}
	switch {
	case ev.runs != runs:
		a.fail(checkRuns, "arm %s made %d runs in round %d, planned are %d", arm.name, ev.runs, round, runs)
	case ev.steps*a.expected.runs != ev.runs*a.expected.steps:
		a.fail(checkWork, "arm %s executed %d steps in %d runs of round %d, planned are %d each", arm.name, ev.steps, ev.runs, round, a.steps())
	case ev.digest == 0 || ev.digest != want.digest:
		a.fail(checkWork, "arm %s ended round %d with another result than the other arms", arm.name, round)
	}
	return nil
}

// block compares the contents of the arms' databases, read by new connections, with what
// the arms ran.
func (a *auditor) block(ctx context.Context, arms []*arm, book *stubs.Book) error {
	a.blocks++
	if err := book.Verify(); err != nil {
		a.fail(checkScripts, "%v", err)
	}
	p, x := a.session.Plan, a.expected
	for _, arm := range arms {
		if !saves(arm.name) && arm.name != ArmFloor {
			continue
		}
		ops := p.ops(arm.name)
		want := int64(ops * x.saves)
		if arm.back != nil {
			got := arm.back.Counts()
			a.saves += got.Saves
			if got.Saves != want || got.Commits-got.Claims > want || !a.workload.sharing() && got.Commits-got.Claims != want {
				a.fail(checkSaves, "arm %s committed %d saves in %d transactions, want %d: %d runs of %d steps make N+2 each",
					arm.name, got.Saves, got.Commits, want, ops*x.runs, a.steps())
			}
			if want := durabilityOf(arm.name, a.session.Durability); want != corebench.Unsynced {
				if got, err := arm.back.Durability(); err != nil || got != want {
					a.fail(checkDurability, "arm %s saves at durability %q, which must be %q: %v", arm.name, got, want, err)
				}
			}
		}
		rows, err := a.backend.Count(ctx, arm.place)
		if err != nil {
			return fmt.Errorf("read arm %s back: %w", arm.name, err)
		}
		a.rows += rows.Records
		if arm.back != nil && rows.Commits > 0 {
			a.commits(arm, rows.Commits)
		}
		if rows.Finished != int64(ops*x.runs) || rows.Records != int64(ops*x.records) {
			a.fail(checkRows, "arm %s holds %d finished runs with %d records, want %d and %d",
				arm.name, rows.Finished, rows.Records, ops*x.runs, ops*x.records)
		}
	}
	return nil
}

// commits compares the number of transactions that an arm counted with the number that its
// database shows. Of a run that was claimed again, the database shows only the latest ones.
func (a *auditor) commits(arm *arm, stored int64) {
	if got := arm.back.Counts(); stored > got.Commits || got.Claims == 0 && stored != got.Commits {
		a.fail(checkSaves, "arm %s says that it made %d transactions, and its rows are of %d", arm.name, got.Commits, stored)
	}
}

// steps returns the number of steps of one run.
func (a *auditor) steps() int { return a.expected.steps / max(1, a.expected.runs) }

// account checks that no sample is missing.
func (a *auditor) account(res *SessionResult) {
	p := a.session.Plan
	for _, name := range p.Arms() {
		res.Counted.Planned += p.Blocks * p.ops(name)
		res.Counted.Warmups += p.Blocks * p.Warmups
		res.Counted.First += p.Blocks * p.Rounds
	}
	for n, block := range res.Slots {
		for _, name := range p.Arms() {
			for _, ns := range block[name] {
				if ns > 0 {
					res.Counted.Kept += p.Batch[name]
				}
			}
			if len(block) != len(p.Batch) || len(block[name]) != p.Rounds {
				a.fail(checkSamples, "block %d has %d slots of arm %s, planned are %d", n, len(block[name]), name, p.Rounds)
			}
		}
	}
	c := res.Counted
	if c.Planned != c.Kept+c.Warmups+c.First {
		a.fail(checkSamples, "%d operations planned, but %d kept + %d warm-ups + %d first of a slot = %d: samples were lost",
			c.Planned, c.Kept, c.Warmups, c.First, c.Kept+c.Warmups+c.First)
	}
	if a.ops != c.Planned {
		a.fail(checkRuns, "%d operations made, %d planned", a.ops, c.Planned)
	}
}

// findings returns the failures, and one finding for each check without a failure.
func (a *auditor) findings() []Finding {
	good := []Finding{
		{checkWork, true, fmt.Sprintf("%d slots, the same result and %d steps a run in every arm", a.slots, a.steps())},
		{checkRuns, true, fmt.Sprintf("%d operations made, as many as planned", a.ops)},
		{checkSaves, true, fmt.Sprintf("%d, N+2 a run, counted by the backends", a.saves)},
		{checkDurability, true, fmt.Sprintf("%q, read back from the connection that saved", a.session.Durability)},
		{checkRows, true, fmt.Sprintf("%d records found by fresh connections", a.rows)},
		{checkScripts, true, fmt.Sprintf("sized from the plan in %d blocks, none ran dry, none was left over", a.blocks)},
		{checkSamples, true, "planned = kept + warm-ups + first of each slot"},
	}
	broken := map[string]bool{}
	for _, f := range a.bad {
		broken[f.Check] = true
	}
	all := a.bad
	for _, f := range good {
		if !broken[f.Check] {
			all = append(all, f)
		}
	}
	return all
}

// failed turns the fault that ended a session into its result. The end of a context is
// returned as an error: it is no fault.
func (a *auditor) failed(res SessionResult, err error) (SessionResult, error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return res, err
	}
	found := Finding{Check: checkSession, Detail: err.Error()}
	var audit *auditError
	switch {
	case errors.As(err, &audit):
		found = audit.Finding
	case errors.Is(err, core.ErrHarness):
		found.Check = checkScripts
	}
	res.Problem, res.Audit = err.Error(), []Finding{found}
	return res, nil
}

// auditError is a failed check that ends the session at once.
type auditError struct{ Finding }

func (e *auditError) Error() string { return e.Check + ": " + e.Detail }
