package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// examined is the state of a run according to its records.
type examined[S any] struct {
	result  Result[S]
	more    bool  // there are steps that are not recorded
	failure error // of the run
}

// examine walks the plan through the records of a run, without calling an agent or saving.
// An error is the reason why the pipeline cannot continue from the records.
func examine[S any](ctx context.Context, p *Pipeline[S], snap Snapshot) (x examined[S], err error) {
	x.result = Result[S]{Status: snap.Status, Next: Nobody}
	if snap.Start.Pipeline != p.name {
		return x, planChanged("resume", p.text, snap)
	}
	l := loaded(NewEngine(), p, Lease{}, snap)
	r := l.run
	r.probe = true
	status, err := p.walk(ctx, l)
	if cause := context.Cause(ctx); cause != nil {
		return x, cause
	}
	switch {
	case errors.As(err, new(*BudgetError)) && status == Stopped:
		x.more, err = true, nil // its execution finds the same
	case status == Failed && snap.Start.Plan != p.print && len(failedPaths(err)) == 0:
		// Not by a step: by a maximum that is smaller now, or by another function.
	case status == Failed:
		x.failure, err = err, nil
	case err == nil:
		err = l.fresh()
	}
	if err != nil {
		x.result.Scope, x.result.Exits, x.result.Usage = l.scope, r.exits, l.purse.used
		switch {
		case snap.Start.Plan != p.print:
			err = fmt.Errorf("%w; its records do not fit: %w", planChanged("resume", p.text, snap), err)
		case errors.Is(err, ErrDiverged):
			err = fmt.Errorf("%w; the plan has not changed, so one of them has", err)
		}
		return x, err
	}
	x.more = x.more || r.more.Load()
	x.result = Result[S]{Status: status, Scope: l.scope, Pauses: r.waiting(), Wake: wake(r.pauses), Exits: r.exits, Usage: l.purse.used}
	return x, nil
}

// planChanged is ErrPlanChanged with the first difference. do is the attempted operation.
func planChanged(do, plan string, snap Snapshot) error {
	was, now := strings.Split(snap.Start.PlanText, "\n"), strings.Split(plan, "\n")
	i := 0
	for i < min(len(was), len(now)) && was[i] == now[i] {
		i++
	}
	line := func(plan []string) string {
		if i < len(plan) && plan[i] != "" {
			return plan[i]
		}
		return "nothing"
	}
	return fmt.Errorf("%s run %s: %w: the first difference is %s, where it was %s: "+
		"use the pipeline of the start, or start a new run", do, snap.Start.Key, ErrPlanChanged, line(now), line(was))
}

// failedPaths are the paths of the failed steps that made a run fail.
func failedPaths(failure error) (paths []string) {
	switch e := failure.(type) {
	case nil:
	case *StepError:
		paths = append(paths, e.Path)
	case *NodeError:
		if joined, ok := e.Err.(interface{ Unwrap() []error }); ok && e.Kind == "fallback" {
			// Only the last alternative can be run again.
			all := joined.Unwrap()
			return failedPaths(all[len(all)-1])
		}
		return failedPaths(e.Err)
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			paths = append(paths, failedPaths(err)...)
		}
	case interface{ Unwrap() error }:
		return failedPaths(e.Unwrap())
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}
