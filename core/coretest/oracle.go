package coretest

import (
	"cmp"
	"slices"

	"github.com/flujo/flujo-harness/core"
)

// oracle says what a backend must do, as plainly as it can be said: no locks, no
// files, no speed. It is a second writing of the contract, independent of Memory.
type oracle struct {
	runs   []*core.Snapshot // Lease.ID is the index plus 1
	counts core.Counts      // since it was opened
}

func (o *oracle) find(k core.RunKey) (int64, *core.Snapshot) {
	for i, r := range o.runs {
		if r.Start.Key == k {
			return int64(i + 1), r
		}
	}
	return 0, nil
}

// held is the run of a lease, nil where the lease is not good.
func (o *oracle) held(l core.Lease) *core.Snapshot {
	if l.ID < 1 || l.ID > int64(len(o.runs)) {
		return nil
	}
	if r := o.runs[l.ID-1]; r.Epoch == l.Epoch && r.Status == core.Running {
		return r
	}
	return nil
}

func (o *oracle) saved() { o.counts.Saves++; o.counts.Commits++ }

func (o *oracle) start(rec core.StartRecord) (core.Lease, error) {
	if _, r := o.find(rec.Key); r != nil {
		return core.Lease{}, core.ErrRunExists
	}
	o.runs = append(o.runs, &core.Snapshot{Start: rec, Status: core.Running, Epoch: 1, State: rec.State})
	o.saved()
	return core.Lease{ID: int64(len(o.runs)), Epoch: 1}, nil
}

func (o *oracle) step(l core.Lease, rec core.StepRecord) error {
	r := o.held(l)
	if r == nil || rec.Seq != int64(len(r.Steps)+1) {
		return core.ErrFenced
	}
	r.Steps = append(r.Steps, rec)
	if rec.State != nil {
		r.State = rec.State
	}
	o.saved()
	return nil
}

func (o *oracle) finish(l core.Lease, rec core.FinishRecord) error {
	r := o.held(l)
	switch {
	case r == nil:
		return core.ErrFenced
	case rec.Status == core.Paused && rec.Answers != len(r.Answers):
		return core.ErrSignalled
	case rec.State != nil && rec.Seq != int64(len(r.Steps)+1):
		return core.ErrFenced
	}
	r.Status, r.Error, r.Exits, r.Ended = rec.Status, rec.Error, rec.Exits, rec.Time
	if rec.State != nil {
		r.State = rec.State
	}
	o.saved()
	return nil
}

func (o *oracle) claim(k core.RunKey, epoch int64) (core.Lease, error) {
	id, r := o.find(k)
	switch {
	case r == nil:
		return core.Lease{}, core.ErrRunNotFound
	case ended(r):
		return core.Lease{}, core.ErrRunFinished
	case epoch != 0 && epoch != r.Epoch:
		return core.Lease{}, core.ErrFenced
	}
	r.Epoch++
	r.Status, r.Error, r.Ended = core.Running, "", core.Snapshot{}.Ended
	o.counts.Claims++
	o.counts.Commits++
	return core.Lease{ID: id, Epoch: r.Epoch}, nil
}

func (o *oracle) signal(k core.RunKey, rec core.AnswerRecord) error {
	_, r := o.find(k)
	if r == nil {
		return core.ErrRunNotFound
	}
	asked := slices.ContainsFunc(r.Steps, func(s core.StepRecord) bool { return s.Status == core.Paused && s.Token == rec.Token })
	answered := slices.ContainsFunc(r.Answers, func(a core.AnswerRecord) bool { return a.Token == rec.Token })
	switch {
	case !asked || ended(r):
		return core.ErrNoPause
	case answered:
		return core.ErrAnswered
	}
	r.Answers = append(r.Answers, rec)
	slices.SortStableFunc(r.Answers, func(a, b core.AnswerRecord) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Token, b.Token))
	})
	o.saved()
	return nil
}

func ended(r *core.Snapshot) bool { return r.Status == core.Completed || r.Status == core.Failed }
