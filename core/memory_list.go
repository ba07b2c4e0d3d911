package core

import (
	"bytes"
	"cmp"
	"context"
	"slices"
)

// List implements [Lister].
func (m *Memory) List(ctx context.Context, f Filter) (runs []RunInfo, err error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	for i, r := range m.runs {
		if r != nil && f.chooses(&r.Snapshot, len(r.Answers) != r.seen) {
			runs = append(runs, info(int64(i+1), &r.Snapshot))
		}
	}
	slices.SortFunc(runs, newestFirst)
	if f.After != nil {
		runs = slices.DeleteFunc(runs, func(i RunInfo) bool { return newestFirst(i, *f.After) <= 0 })
	}
	if f.Limit > 0 {
		runs = runs[:min(f.Limit, len(runs))]
	}
	return runs, nil
}

func newestFirst(a, b RunInfo) int {
	return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(b.ID, a.ID))
}

// chooses reports whether a run is one of the filter's, After and Limit aside. unseen
// says that a paused run has an answer that its executor has not taken in.
func (f *Filter) chooses(r *Snapshot, unseen bool) bool {
	k := r.Start.Key
	named := f.Run == "" || k.Run == f.Run || f.Tenant == nil && k.Tenant != "" && k.String() == f.Run
	cutOff := r.Status == Running && !r.Holder.Alive(f.Now)
	woken := r.Status == Paused && (unseen || !r.Wake.IsZero() && !r.Wake.After(f.Now))
	return named && (f.Tenant == nil || k.Tenant == *f.Tenant) && (f.Pipeline == "" || r.Start.Pipeline == f.Pipeline) &&
		(f.Status == 0 || r.Status == f.Status) &&
		(f.Since.IsZero() || !r.Start.Time.Before(f.Since)) && (f.Before.IsZero() || r.Start.Time.Before(f.Before)) &&
		(!f.Live || r.Status == Running && !cutOff) && (!f.CutOff || cutOff) && (!f.Due || cutOff || woken)
}

// info is a run at a glance.
func info(id int64, r *Snapshot) RunInfo {
	i := r.Info()
	i.ID = id
	return i
}

// Info is the run at a glance, without the backend's number.
func (s *Snapshot) Info() RunInfo {
	i := RunInfo{Key: s.Start.Key, Pipeline: s.Start.Pipeline, Plan: s.Start.Plan, Status: s.Status, Error: s.Error, Epoch: s.Epoch, Holder: s.Holder,
		Origin: s.Start.Origin, Open: int64(len(s.open())), Started: s.Start.Time, Saved: s.Start.Time, Wake: s.Wake, Ended: s.Ended}
	for _, rec := range s.Steps {
		i.Attempts += int64(rec.Attempts)
		i.Usage = i.Usage.plus(rec.Usage)
		i.Usage.Steps++
		if rec.Ended.After(i.Saved) {
			i.Saved = rec.Ended
		}
	}
	return i
}

// open returns the pauses without an answer.
func (s *Snapshot) open() (open []*StepRecord) {
	if s.Status.Ended() {
		return nil
	}
	for i := range s.Steps {
		rec := &s.Steps[i]
		answered := slices.ContainsFunc(s.Answers, func(a AnswerRecord) bool { return a.Token == rec.Token })
		if rec.Status == Paused && !answered {
			open = append(open, rec)
		}
	}
	return open
}

// Questions implements [Lister].
func (m *Memory) Questions(ctx context.Context, f Filter) (questions []Question, err error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	for _, r := range m.runs {
		if r == nil || !f.chooses(&r.Snapshot, len(r.Answers) != r.seen) {
			continue
		}
		for _, rec := range r.open() {
			questions = append(questions, Question{Key: r.Start.Key, Pipeline: r.Start.Pipeline, Path: rec.Path, Token: rec.Token,
				Prompt: bytes.Clone(rec.Output), For: rec.For, Asked: rec.Ended, Due: rec.Due})
		}
	}
	slices.SortStableFunc(questions, func(a, b Question) int { return a.Asked.Compare(b.Asked) })
	if f.Limit > 0 {
		questions = questions[:min(f.Limit, len(questions))]
	}
	return questions, nil
}

// Prune implements [Pruner].
func (m *Memory) Prune(ctx context.Context, p PruneFilter) (deleted int, more bool, err error) {
	if err := m.enter(ctx); err != nil {
		return 0, false, err
	}
	defer m.mu.Unlock()
	for i, r := range m.runs {
		switch {
		case r == nil || !p.prunable(&r.Snapshot):
		case deleted == p.Most():
			return deleted, true, nil
		default:
			delete(m.ids, r.Start.Key)
			m.runs[i] = nil // its number is never used again
			deleted++
		}
	}
	return deleted, false, nil
}

// reopened is the state of a run that had ended and goes on: that of its records.
func (s *Snapshot) reopened() []byte {
	state := s.Start.State
	for _, rec := range s.Steps {
		if rec.State != nil {
			state = rec.State
		}
	}
	return state
}

var _ interface {
	Lister
	Pruner
} = (*Memory)(nil)
