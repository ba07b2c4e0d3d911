package core

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Memory is a [Backend] that keeps everything in the process: for tests and for
// runs that need no durability. Its runs survive the engine, not the process.
type Memory struct {
	mu     sync.Mutex
	ids    map[RunKey]int64
	runs   []*kept // at index Lease.ID-1; nil where it was pruned
	counts Counts
	closed bool
}

// kept is a run in memory.
type kept struct {
	Snapshot
	seen int // answers that the executor knew of when it paused
}

// NewMemory returns an empty backend.
func NewMemory() *Memory { return &Memory{ids: map[RunKey]int64{}} }

// enter locks; the caller unlocks when it returns nil.
func (m *Memory) enter(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return ErrClosed
	}
	return nil
}

func (m *Memory) saved() {
	m.counts.Saves++
	m.counts.Commits++
}

// Start implements [Backend].
func (m *Memory) Start(ctx context.Context, rec StartRecord) (Lease, error) {
	if err := m.enter(ctx); err != nil {
		return Lease{}, err
	}
	defer m.mu.Unlock()
	if _, ok := m.ids[rec.Key]; ok {
		return Lease{}, fmt.Errorf("run %s: %w", rec.Key, ErrRunExists)
	}
	holder := rec.Holder
	rec.State, rec.Holder = bytes.Clone(rec.State), Holder{}
	m.runs = append(m.runs, &kept{Snapshot: Snapshot{Start: rec, Status: Running, Epoch: 1, Holder: holder, State: rec.State}})
	id := int64(len(m.runs))
	m.ids[rec.Key] = id
	m.saved()
	return Lease{ID: id, Epoch: 1}, nil
}

// held returns the run of a lease that is still good.
func (m *Memory) held(l Lease) (*kept, error) {
	if l.ID < 1 || l.ID > int64(len(m.runs)) || m.runs[l.ID-1] == nil {
		return nil, fmt.Errorf("lease of run number %d: %w", l.ID, ErrFenced)
	}
	r := m.runs[l.ID-1]
	if r.Epoch != l.Epoch || r.Status != Running {
		return nil, fmt.Errorf("run %s, epoch %d: %w", r.Start.Key, l.Epoch, ErrFenced)
	}
	return r, nil
}

// Step implements [Backend].
func (m *Memory) Step(ctx context.Context, lease Lease, rec StepRecord) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	r, err := m.held(lease)
	if err != nil {
		return err
	}
	if want := int64(len(r.Steps)) + 1; rec.Seq != want {
		return fmt.Errorf("run %s: step record %d where %d is next: %w", r.Start.Key, rec.Seq, want, ErrFenced)
	}
	rec.Output, rec.State = bytes.Clone(rec.Output), bytes.Clone(rec.State)
	r.Steps = append(r.Steps, rec)
	if rec.State != nil {
		r.State = rec.State
	}
	m.saved()
	return nil
}

// Finish implements [Backend].
func (m *Memory) Finish(ctx context.Context, lease Lease, rec FinishRecord) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	r, err := m.held(lease)
	if err != nil {
		return err
	}
	if rec.Status == Paused && rec.Answers != len(r.Answers) {
		return fmt.Errorf("run %s: %w", r.Start.Key, ErrSignalled)
	}
	if want := int64(len(r.Steps)) + 1; rec.State != nil && rec.Seq != want {
		return fmt.Errorf("run %s: state %d where %d is next: %w", r.Start.Key, rec.Seq, want, ErrFenced)
	}
	r.Status, r.Error, r.Exits, r.Wake, r.Ended = rec.Status, rec.Error, bytes.Clone(rec.Exits), rec.Wake, rec.Time
	r.Holder.Until, r.seen = time.Time{}, rec.Answers
	if rec.State != nil {
		r.State = bytes.Clone(rec.State)
	}
	m.saved()
	return nil
}

// Claim implements [Backend].
func (m *Memory) Claim(ctx context.Context, key RunKey, epoch int64) (Lease, Snapshot, error) {
	return m.claim(ctx, key, epoch, Holder{}, Status.Ended)
}

// Acquire implements [Backend].
func (m *Memory) Acquire(ctx context.Context, known Snapshot, h Holder) (Lease, Snapshot, error) {
	return m.claim(ctx, known.Start.Key, known.Epoch, h, func(s Status) bool { return s == Completed })
}

// claim claims a run, unless final says that its status is for ever.
func (m *Memory) claim(ctx context.Context, key RunKey, epoch int64, h Holder, final func(Status) bool) (Lease, Snapshot, error) {
	if err := m.enter(ctx); err != nil {
		return Lease{}, Snapshot{}, err
	}
	defer m.mu.Unlock()
	id, ok := m.ids[key]
	if !ok {
		return Lease{}, Snapshot{}, fmt.Errorf("run %s: %w", key, ErrRunNotFound)
	}
	r := m.runs[id-1]
	if final(r.Status) {
		return Lease{}, Snapshot{}, fmt.Errorf("run %s: %w: %v", key, ErrRunFinished, r.Status)
	}
	if epoch != 0 && epoch != r.Epoch {
		return Lease{}, Snapshot{}, fmt.Errorf("run %s: epoch %d, now %d: %w", key, epoch, r.Epoch, ErrFenced)
	}
	if r.Status.Ended() {
		r.State = r.reopened()
	}
	r.Epoch++
	r.Status, r.Error, r.Holder, r.Wake, r.Ended = Running, "", h, time.Time{}, time.Time{}
	m.counts.Claims++
	m.counts.Commits++
	return Lease{ID: id, Epoch: r.Epoch}, copied(&r.Snapshot), nil
}

// Renew implements [Backend].
func (m *Memory) Renew(ctx context.Context, h Holder, leases []Lease) (lost []Lease, err error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	for _, l := range leases {
		r, err := m.held(l)
		if err != nil {
			lost = append(lost, l)
			continue
		}
		r.Holder = h
	}
	m.counts.Heartbeats++
	return lost, nil
}

// Signal implements [Backend].
func (m *Memory) Signal(ctx context.Context, key RunKey, rec AnswerRecord) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	id, ok := m.ids[key]
	if !ok {
		return fmt.Errorf("run %s: %w", key, ErrRunNotFound)
	}
	r := m.runs[id-1]
	asked := slices.ContainsFunc(r.Steps, func(s StepRecord) bool { return s.Status == Paused && s.Token == rec.Token })
	if !asked || r.Status.Ended() {
		return fmt.Errorf("run %s: %w", key, ErrNoPause)
	}
	if r.answers()[rec.Token] != nil {
		return fmt.Errorf("run %s: %w", key, ErrAnswered)
	}
	rec.Answer = bytes.Clone(rec.Answer)
	r.Answers = append(r.Answers, rec)
	sortAnswers(r.Answers)
	m.saved()
	return nil
}

// sortAnswers puts them in the order of [Snapshot.Answers].
func sortAnswers(answers []AnswerRecord) {
	slices.SortStableFunc(answers, func(a, b AnswerRecord) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Token, b.Token))
	})
}

// Load implements [Backend].
func (m *Memory) Load(ctx context.Context, key RunKey) (Snapshot, error) {
	if err := m.enter(ctx); err != nil {
		return Snapshot{}, err
	}
	defer m.mu.Unlock()
	id, ok := m.ids[key]
	if !ok {
		return Snapshot{}, fmt.Errorf("run %s: %w", key, ErrRunNotFound)
	}
	return copied(&m.runs[id-1].Snapshot), nil
}

func copied(r *Snapshot) Snapshot {
	s := *r
	s.Start.State, s.State = bytes.Clone(r.Start.State), bytes.Clone(r.State)
	s.Exits = bytes.Clone(r.Exits)
	s.Steps, s.Answers = slices.Clone(r.Steps), slices.Clone(r.Answers)
	for i := range s.Steps {
		s.Steps[i].Output, s.Steps[i].State = bytes.Clone(s.Steps[i].Output), bytes.Clone(s.Steps[i].State)
	}
	for i := range s.Answers {
		s.Answers[i].Answer = bytes.Clone(s.Answers[i].Answer)
	}
	return s
}

// Counts implements [Backend].
func (m *Memory) Counts() Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts
}

// Close implements [Backend]. The runs are gone.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.runs, m.ids = true, nil, nil
	return nil
}

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
