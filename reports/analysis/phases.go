package analysis

import (
	"fmt"
	"slices"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
)

// addPhases compares the end of each phase with that of the previous phase. It uses complete runs up
// to the analyzed one.
func (a *analyzer) addPhases() error {
	if a.o.Plan == nil || len(a.o.Plan.Phases) == 0 || !a.row.Rated {
		return nil
	}
	which, args := "has_suites AND complete AND (at, id) <= (?, ?)", []any{a.row.At, a.row.ID}
	if branch := a.a.Run.Branch; branch != "" { // a phase cannot end with a run of another branch
		which, args = which+" AND branch IN (?, '')", append(args, branch)
	}
	rows, err := a.Rows("WHERE "+which+" ORDER BY at, id", args...)
	if err != nil {
		return err
	}
	var ends []history.RunLine
	var names []string
	next := 0
	for _, plan := range a.o.Plan.Phases {
		end, open, err := a.phaseEnd(rows, next, plan)
		if err != nil {
			return err
		}
		p := Phase{Name: plan.Name, Open: open}
		if end >= next {
			if len(ends) > 0 {
				p.From = &ends[len(ends)-1]
			}
			if err := a.fillPhase(&p, rows[end].Line(), plan.Target); err != nil {
				return err
			}
			next = end + 1
			ends, names = append(ends, *p.To), append(names, p.Name)
		}
		a.a.Phases = append(a.a.Phases, p)
	}
	if len(ends) < 2 {
		return nil
	}
	a.a.Overall = &Phase{Name: names[0] + " to " + names[len(names)-1], From: &ends[0], Open: a.a.Phases[len(a.a.Phases)-1].Open}
	return a.fillPhase(a.a.Overall, ends[len(ends)-1], a.o.Plan.Target)
}

// phaseEnd returns the index of the last run of a phase whose runs start at index next. It is less
// than next if the phase has no run.
func (a *analyzer) phaseEnd(rows []history.Record, next int, plan reports.PlanPhase) (end int, open bool, err error) {
	newest := len(rows) - 1
	switch {
	case plan.Run != 0:
		end = slices.IndexFunc(rows, func(r history.Record) bool { return r.ID == plan.Run })
		if end >= 0 && end < next {
			return 0, false, &reports.PlanError{Err: fmt.Errorf("phase %q ends with run %d, which belongs to a phase before it", plan.Name, plan.Run)}
		}
		if end >= 0 {
			return end, false, nil
		}
		gone, err := a.Pruned(plan.Run)
		if err != nil {
			return 0, false, err
		}
		if gone { // its last run was pruned, so its result is unknown
			return next - 1, false, nil
		}
		return newest, true, nil // the run does not exist yet
	case plan.Until.IsZero():
		return newest, true, nil
	}
	end = next - 1
	for i := next; i < len(rows) && time.Unix(0, rows[i].At).Before(plan.Until); i++ {
		end = i
	}
	return end, a.o.Now.Before(plan.Until), nil
}

func (a *analyzer) fillPhase(p *Phase, to history.RunLine, target float64) error {
	p.To, p.Counts = &to, to.Counts
	p.Rate, p.RateAll = p.Counts.PassRate(), p.Counts.PassRateOfAll()
	if target != 0 {
		p.Target = NewTarget(target, p.Counts)
	}
	if p.From == nil {
		return nil
	}
	p.Fewer = reports.Rate{Good: p.From.Counts.Failed - p.Counts.Failed, Of: p.From.Counts.Failed}
	now, err := a.Outline(to.ID)
	if err != nil {
		return fmt.Errorf("run %d: %w", to.ID, err)
	}
	was, err := a.Outline(p.From.ID)
	if err != nil {
		return fmt.Errorf("run %d: %w", p.From.ID, err)
	}
	c := CompareResults(was, now, false)
	p.Paired = c.paired()
	return nil
}
