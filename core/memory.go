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

// Memory is a [Backend] in memory, for tests and for runs that need no durability.
type Memory struct {
	mu     sync.Mutex
	ids    map[RunKey]int64
	runs   []*kept // at index Lease.ID-1; nil if it was pruned
	counts Counts
	closed bool
}

// kept is a run in memory.
type kept struct {
	Snapshot
	id   int64
	seen int // number of answers that the executor knew of when it paused
}

// NewMemory returns an empty backend.
func NewMemory() *Memory { return &Memory{ids: map[RunKey]int64{}} }

// enter locks m. If it returns nil, the caller must unlock it.
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
	id := int64(len(m.runs) + 1)
	m.runs = append(m.runs, &kept{id: id, Snapshot: Snapshot{Start: rec, Status: Running, Epoch: 1, Holder: holder, State: rec.State}})
	m.ids[rec.Key] = id
	m.saved()
	return Lease{ID: id, Epoch: 1}, nil
}

// find returns the run of a key.
func (m *Memory) find(key RunKey) (*kept, error) {
	id, ok := m.ids[key]
	if !ok {
		return nil, fmt.Errorf("run %s: %w", key, ErrRunNotFound)
	}
	return m.runs[id-1], nil
}

// held returns the run of a lease that is still valid.
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

// claim claims a run, unless its status is final.
func (m *Memory) claim(ctx context.Context, key RunKey, epoch int64, h Holder, final func(Status) bool) (Lease, Snapshot, error) {
	if err := m.enter(ctx); err != nil {
		return Lease{}, Snapshot{}, err
	}
	defer m.mu.Unlock()
	r, err := m.find(key)
	if err != nil {
		return Lease{}, Snapshot{}, err
	}
	if final(r.Status) {
		return Lease{}, Snapshot{}, fmt.Errorf("run %s: %w: %v", key, ErrRunFinished, r.Status)
	}
	if epoch != 0 && epoch != r.Epoch {
		return Lease{}, Snapshot{}, fmt.Errorf("run %s: epoch %d, now %d: %w", key, epoch, r.Epoch, ErrFenced)
	}
	if r.Status.Ended() {
		r.State = r.LastState()
	}
	r.Epoch++
	r.Status, r.Error, r.Holder, r.Wake, r.Ended = Running, "", h, time.Time{}, time.Time{}
	m.counts.Claims++
	m.counts.Commits++
	return Lease{ID: r.id, Epoch: r.Epoch}, copied(&r.Snapshot), nil
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
	r, err := m.find(key)
	if err != nil {
		return err
	}
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
	r, err := m.find(key)
	if err != nil {
		return Snapshot{}, err
	}
	return copied(&r.Snapshot), nil
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
	for _, r := range m.selected(&f) {
		info := r.Info()
		info.ID = r.id
		runs = append(runs, info)
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

// selected returns the runs that the filter selects, apart from After and Limit.
func (m *Memory) selected(f *Filter) (runs []*kept) {
	for _, r := range m.runs {
		if r != nil && f.selects(r) {
			runs = append(runs, r)
		}
	}
	return runs
}

func (f *Filter) selects(r *kept) bool {
	k := r.Start.Key
	named := f.Run == "" || k.Run == f.Run || f.Tenant == nil && k.Tenant != "" && k.String() == f.Run
	cutOff := r.Status == Running && !r.Holder.Alive(f.Now)
	woken := r.Status == Paused && (len(r.Answers) != r.seen || !r.Wake.IsZero() && !r.Wake.After(f.Now))
	return named && (f.Tenant == nil || k.Tenant == *f.Tenant) && (f.Pipeline == "" || r.Start.Pipeline == f.Pipeline) &&
		(f.Status == 0 || r.Status == f.Status) &&
		(f.Since.IsZero() || !r.Start.Time.Before(f.Since)) && (f.Before.IsZero() || r.Start.Time.Before(f.Before)) &&
		(!f.Live || r.Status == Running && !cutOff) && (!f.CutOff || cutOff) && (!f.Due || cutOff || woken)
}

// Info summarizes the run, without the backend's number.
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
	for _, r := range m.selected(&f) {
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
			m.runs[i] = nil // its number is not reused
			deleted++
		}
	}
	return deleted, false, nil
}

// LastState returns the scope after the last record. A run that has ended and is
// continued (see [Retry]) continues with it; State is the scope at its end.
func (s *Snapshot) LastState() []byte {
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
