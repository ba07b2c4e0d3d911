package coretest

import (
	"cmp"
	"slices"
	"time"

	"github.com/flujo/flujo-harness/core"
)

// oracle is a simple model of a backend: no locks, no files, no speed. It implements the contract a
// second time, independently of Memory.
type oracle struct {
	runs   []*core.Snapshot // index is Lease.ID minus 1; nil after pruning
	seen   []int            // number of answers that the executor of each run knew when it paused
	counts core.Counts      // since the backend was opened
}

func (o *oracle) find(k core.RunKey) (int64, *core.Snapshot) {
	for i, r := range o.runs {
		if r != nil && r.Start.Key == k {
			return int64(i + 1), r
		}
	}
	return 0, nil
}

// held returns the run of a lease, or nil if the lease is not valid.
func (o *oracle) held(l core.Lease) *core.Snapshot {
	if l.ID < 1 || l.ID > int64(len(o.runs)) {
		return nil
	}
	if r := o.runs[l.ID-1]; r != nil && r.Epoch == l.Epoch && r.Status == core.Running {
		return r
	}
	return nil
}

func (o *oracle) saved() { o.counts.Saves++; o.counts.Commits++ }

func (o *oracle) start(rec core.StartRecord) (core.Lease, error) {
	if _, r := o.find(rec.Key); r != nil {
		return core.Lease{}, core.ErrRunExists
	}
	holder := rec.Holder
	rec.Holder = core.Holder{}
	o.runs = append(o.runs, &core.Snapshot{Start: rec, Status: core.Running, Epoch: 1, Holder: holder, State: rec.State})
	o.seen = append(o.seen, 0)
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
	r.Status, r.Error, r.Exits, r.Wake, r.Ended = rec.Status, rec.Error, rec.Exits, rec.Wake, rec.Time
	r.Holder.Until = time.Time{}
	o.seen[l.ID-1] = rec.Answers
	if rec.State != nil {
		r.State = rec.State
	}
	o.saved()
	return nil
}

// claim implements Claim, or Acquire if reopen is set.
func (o *oracle) claim(k core.RunKey, epoch int64, h core.Holder, reopen bool) (core.Lease, error) {
	id, r := o.find(k)
	switch {
	case r == nil:
		return core.Lease{}, core.ErrRunNotFound
	case r.Status == core.Completed, r.Status.Ended() && !reopen:
		return core.Lease{}, core.ErrRunFinished
	case epoch != 0 && epoch != r.Epoch:
		return core.Lease{}, core.ErrFenced
	}
	if r.Status.Ended() {
		r.State = r.Start.State
		for _, s := range r.Steps {
			if s.State != nil {
				r.State = s.State
			}
		}
	}
	r.Epoch++
	r.Status, r.Error, r.Holder, r.Wake, r.Ended = core.Running, "", h, time.Time{}, time.Time{}
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
	case !asked || r.Status.Ended():
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

func (o *oracle) renew(h core.Holder, l core.Lease) (lost []core.Lease) {
	o.counts.Heartbeats++
	if r := o.held(l); r != nil {
		r.Holder = h
		return nil
	}
	return []core.Lease{l}
}

// list follows the wording of the contract and checks each run separately.
func (o *oracle) list(f core.Filter) (keys []core.RunKey) {
	var runs []core.RunInfo
	for i, r := range o.runs {
		if r == nil || f.Status != 0 && r.Status != f.Status {
			continue
		}
		running := r.Status == core.Running
		alive := running && r.Holder.Until.After(f.Now)
		woken := r.Status == core.Paused && (len(r.Answers) != o.seen[i] || !r.Wake.IsZero() && !r.Wake.After(f.Now))
		if f.Live && !alive || f.CutOff && (!running || alive) || f.Due && !woken && (!running || alive) {
			continue
		}
		runs = append(runs, core.RunInfo{ID: int64(i), Key: r.Start.Key, Started: r.Start.Time})
	}
	slices.SortFunc(runs, func(a, b core.RunInfo) int { return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(b.ID, a.ID)) })
	for _, r := range runs {
		keys = append(keys, r.Key)
	}
	return keys
}

func (o *oracle) prune(f core.PruneFilter) (deleted int) {
	for i, r := range o.runs {
		if r == nil || r.Status == core.Running || !r.Ended.Before(f.Before) {
			continue
		}
		if f.Status == 0 && r.Status.Ended() || f.Status == r.Status {
			o.runs[i] = nil
			deleted++
		}
	}
	return deleted
}
