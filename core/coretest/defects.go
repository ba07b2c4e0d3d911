package coretest

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flujo/flujo-harness/core"
)

// A check that has never failed proves nothing. Each of these backends has one defect, which the
// checks must find.

// defect is a way to break a backend.
type defect struct {
	what   string
	reopen bool // only visible after the backend is reopened
	spoil  func(Opener) Opener
}

// wrapped returns a function that breaks a backend by wrapping what the opener returns.
func wrapped(wrap func(core.Backend) core.Backend) func(Opener) Opener {
	return func(open Opener) Opener {
		return func(ctx context.Context, path string) (core.Backend, error) {
			b, err := open(ctx, path)
			if err != nil {
				return nil, err
			}
			return wrap(b), nil
		}
	}
}

var defects = []defect{
	{"does not fence", false, wrapped(unfence)},
	{"forgets an answer", false, wrapped(func(b core.Backend) core.Backend { return deaf{b} })},
	{"accepts a second answer", false, wrapped(func(b core.Backend) core.Backend { return agreeable{b} })},
	{"pauses past an answer", false, wrapped(func(b core.Backend) core.Backend { return hasty{b} })},
	{"claims a run whatever its epoch", false, wrapped(func(b core.Backend) core.Backend { return greedy{b} })},
	{"folds the case of names", false, wrapped(func(b core.Backend) core.Backend { return folding{b} })},
	{"shows runs of a tenant with a similar name", false, wrapped(func(b core.Backend) core.Backend { return cutting{b} })},
	{"loses a step when it is reopened", true, lossy},
	{"does not detect a lost lease", false, wrapped(func(b core.Backend) core.Backend { return confident{b} })},
	{"counts a heartbeat as a save", false, wrapped(func(b core.Backend) core.Backend { return &pedantic{Backend: b} })},
	{"returns an outdated snapshot when a run is acquired", false, wrapped(func(b core.Backend) core.Backend { return stale{b} })},
	{"does not save the holder", false, wrapped(func(b core.Backend) core.Backend { return anonymous{b} })},
	{"forgets the wake time of a pause", false, wrapped(func(b core.Backend) core.Backend { return sleepy{b} })},
	{"lists live runs as cut off", false, wrapped(func(b core.Backend) core.Backend { return grave{b} })},
	{"does not list answered runs as due", false, wrapped(func(b core.Backend) core.Backend { return punctual{b} })},
	{"prunes paused runs", false, wrapped(func(b core.Backend) core.Backend { return eager{b} })},
}

// raceDefects are only visible in concurrent calls. The model, which runs one operation after the
// other, cannot find them.
var raceDefects = []defect{
	{"lets a pause overtake an answer", false, wrapped(func(b core.Backend) core.Backend { return newLoser(b) })},
}

type deaf struct{ core.Backend }

func (b deaf) Signal(ctx context.Context, k core.RunKey, rec core.AnswerRecord) error {
	if rec.Token != "t" {
		return b.Backend.Signal(ctx, k, rec)
	}
	_, err := b.Load(ctx, k)
	return err
}

type agreeable struct{ core.Backend }

func (b agreeable) Signal(ctx context.Context, k core.RunKey, rec core.AnswerRecord) error {
	err := b.Backend.Signal(ctx, k, rec)
	if errors.Is(err, core.ErrAnswered) {
		return nil
	}
	return err
}

type hasty struct{ core.Backend }

func (b hasty) Finish(ctx context.Context, l core.Lease, rec core.FinishRecord) error {
	err := b.Backend.Finish(ctx, l, rec)
	for rec.Answers = 0; errors.Is(err, core.ErrSignalled); rec.Answers++ {
		err = b.Backend.Finish(ctx, l, rec)
	}
	return err
}

type greedy struct{ core.Backend }

func (b greedy) Claim(ctx context.Context, k core.RunKey, _ int64) (core.Lease, core.Snapshot, error) {
	return b.Backend.Claim(ctx, k, 0)
}

func (b greedy) Acquire(ctx context.Context, known core.Snapshot, h core.Holder) (core.Lease, core.Snapshot, error) {
	if now, err := b.Load(ctx, known.Start.Key); err == nil {
		known = now
	}
	return b.Backend.Acquire(ctx, known, h)
}

// confident never reports a lost lease.
type confident struct{ core.Backend }

func (b confident) Renew(ctx context.Context, h core.Holder, leases []core.Lease) ([]core.Lease, error) {
	_, err := b.Backend.Renew(ctx, h, leases)
	return nil, err
}

// pedantic counts heartbeats as saves.
type pedantic struct{ core.Backend }

func (b *pedantic) Counts() core.Counts {
	c := b.Backend.Counts()
	c.Saves, c.Heartbeats = c.Saves+c.Heartbeats, 0
	return c
}

// stale ignores everything that was saved after the run was loaded.
type stale struct{ core.Backend }

func (b stale) Acquire(ctx context.Context, known core.Snapshot, h core.Holder) (core.Lease, core.Snapshot, error) {
	l, s, err := b.Backend.Acquire(ctx, known, h)
	if err == nil {
		s.Steps, s.Answers = known.Steps, known.Answers
	}
	return l, s, err
}

// anonymous does not save the holder when a run is acquired.
type anonymous struct{ core.Backend }

func (b anonymous) Acquire(ctx context.Context, known core.Snapshot, _ core.Holder) (core.Lease, core.Snapshot, error) {
	return b.Backend.Acquire(ctx, known, core.Holder{})
}

type sleepy struct{ core.Backend }

func (b sleepy) Finish(ctx context.Context, l core.Lease, rec core.FinishRecord) error {
	rec.Wake = time.Time{}
	return b.Backend.Finish(ctx, l, rec)
}

// lists is a backend whose list can be overridden.
type lists struct {
	core.Backend
	core.Lister
}

func listing(b core.Backend) lists {
	l, _ := b.(core.Lister)
	return lists{b, l}
}

// grave lists every running run as cut off.
type grave struct{ core.Backend }

func (b grave) List(ctx context.Context, f core.Filter) ([]core.RunInfo, error) {
	if f.CutOff {
		f.CutOff, f.Status = false, core.Running
	}
	return listing(b.Backend).List(ctx, f)
}

func (b grave) Questions(ctx context.Context, f core.Filter) ([]core.Question, error) {
	return listing(b.Backend).Questions(ctx, f)
}

// punctual lists a paused run as due only when its wake time has come, not when it has an answer.
type punctual struct{ core.Backend }

func (b punctual) List(ctx context.Context, f core.Filter) ([]core.RunInfo, error) {
	runs, err := listing(b.Backend).List(ctx, f)
	if f.Due {
		runs = slices.DeleteFunc(runs, func(r core.RunInfo) bool {
			return r.Status == core.Paused && (r.Wake.IsZero() || r.Wake.After(f.Now))
		})
	}
	return runs, err
}

func (b punctual) Questions(ctx context.Context, f core.Filter) ([]core.Question, error) {
	return listing(b.Backend).Questions(ctx, f)
}

// eager prunes paused runs although the filter does not ask for them.
type eager struct{ core.Backend }

func (b eager) Prune(ctx context.Context, f core.PruneFilter) (int, bool, error) {
	p, ok := b.Backend.(core.Pruner)
	if !ok {
		return 0, false, nil
	}
	n, more, err := p.Prune(ctx, f)
	if err == nil && f.Status == 0 {
		f.Status = core.Paused
		m, _, pruneErr := p.Prune(ctx, f)
		n, err = n+m, pruneErr
	}
	return n, more, err
}

// loser lets a pause count the answers before it waits for the row lock, as a subquery does under
// READ COMMITTED. An answer that is committed in between is lost: its sender sees that the run is
// still running and does not resume it.
type loser struct {
	core.Backend
	mu      sync.Mutex
	runs    map[int64]core.RunKey
	answers map[core.RunKey]int
	looks   map[core.RunKey]bool // the run was loaded after its answer
}

func newLoser(b core.Backend) *loser {
	return &loser{Backend: b, runs: map[int64]core.RunKey{}, answers: map[core.RunKey]int{}, looks: map[core.RunKey]bool{}}
}

func (b *loser) Start(ctx context.Context, rec core.StartRecord) (core.Lease, error) {
	l, err := b.Backend.Start(ctx, rec)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runs[l.ID] = rec.Key
	return l, err
}

func (b *loser) Signal(ctx context.Context, k core.RunKey, rec core.AnswerRecord) error {
	err := b.Backend.Signal(ctx, k, rec)
	if err == nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.answers[k]++
	}
	return err
}

func (b *loser) Load(ctx context.Context, k core.RunKey) (core.Snapshot, error) {
	s, err := b.Backend.Load(ctx, k)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looks[k] = b.answers[k] > 0
	return s, err
}

func (b *loser) Finish(ctx context.Context, l core.Lease, rec core.FinishRecord) error {
	b.mu.Lock()
	k := b.runs[l.ID]
	counted, looked := b.answers[k], false
	b.mu.Unlock()
	// This stands for the wait for the row. Its length does not matter; others must be able to
	// overtake.
	for range 100_000 {
		if looked {
			break
		}
		runtime.Gosched()
		b.mu.Lock()
		looked = b.looks[k]
		b.mu.Unlock()
	}
	err := b.Backend.Finish(ctx, l, rec)
	if errors.Is(err, core.ErrSignalled) && counted == rec.Answers {
		rec.Answers = counted + 1 // the count from before the wait matched
		err = b.Backend.Finish(ctx, l, rec)
	}
	return err
}

type folding struct{ core.Backend }

func (b folding) Load(ctx context.Context, k core.RunKey) (core.Snapshot, error) {
	k.Run = strings.ToLower(k.Run)
	return b.Backend.Load(ctx, k)
}

// cutting truncates the names of tenants at a zero byte, as C does.
type cutting struct{ core.Backend }

func (b cutting) Load(ctx context.Context, k core.RunKey) (core.Snapshot, error) {
	k.Tenant, _, _ = strings.Cut(k.Tenant, "\x00")
	return b.Backend.Load(ctx, k)
}

// lossy loses the last step of every run from the second time that a path is opened.
func lossy(open Opener) Opener {
	opened := map[string]bool{}
	return func(ctx context.Context, path string) (core.Backend, error) {
		b, err := open(ctx, path)
		if err == nil && opened[path] {
			b = amnesiac{b}
		}
		opened[path] = true
		return b, err
	}
}

type amnesiac struct{ core.Backend }

func (b amnesiac) Load(ctx context.Context, k core.RunKey) (core.Snapshot, error) {
	s, err := b.Backend.Load(ctx, k)
	s.Steps = s.Steps[:max(0, len(s.Steps)-1)]
	return s, err
}

// unfenced lets every former holder save, even if the run has been claimed since: it claims the run
// back before it saves.
type unfenced struct {
	core.Backend
	mu   sync.Mutex
	keys map[int64]core.RunKey // by Lease.ID
}

func unfence(b core.Backend) core.Backend {
	return &unfenced{Backend: b, keys: map[int64]core.RunKey{}}
}

func (b *unfenced) keep(l core.Lease, k core.RunKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys[l.ID] = k
}

func (b *unfenced) Start(ctx context.Context, rec core.StartRecord) (core.Lease, error) {
	l, err := b.Backend.Start(ctx, rec)
	b.keep(l, rec.Key)
	return l, err
}

func (b *unfenced) Claim(ctx context.Context, k core.RunKey, epoch int64) (core.Lease, core.Snapshot, error) {
	l, s, err := b.Backend.Claim(ctx, k, epoch)
	b.keep(l, k)
	return l, s, err
}

func (b *unfenced) Acquire(ctx context.Context, known core.Snapshot, h core.Holder) (core.Lease, core.Snapshot, error) {
	l, s, err := b.Backend.Acquire(ctx, known, h)
	b.keep(l, known.Start.Key)
	return l, s, err
}

// again calls save with a valid lease and the next position in the run.
func (b *unfenced) again(ctx context.Context, old core.Lease, err error, save func(core.Lease, int64) error) error {
	if !errors.Is(err, core.ErrFenced) {
		return err
	}
	b.mu.Lock()
	k := b.keys[old.ID]
	b.mu.Unlock()
	l, s, claimErr := b.Backend.Claim(ctx, k, 0)
	if claimErr != nil {
		return err
	}
	return save(l, int64(len(s.Steps)+1))
}

func (b *unfenced) Step(ctx context.Context, old core.Lease, rec core.StepRecord) error {
	return b.again(ctx, old, b.Backend.Step(ctx, old, rec), func(l core.Lease, seq int64) error {
		rec.Seq = seq
		return b.Backend.Step(ctx, l, rec)
	})
}

func (b *unfenced) Finish(ctx context.Context, old core.Lease, rec core.FinishRecord) error {
	return b.again(ctx, old, b.Backend.Finish(ctx, old, rec), func(l core.Lease, seq int64) error {
		rec.Seq = seq
		return b.Backend.Finish(ctx, l, rec)
	})
}

// forgetful loses the last step record when a run is claimed, and accepts that record again.
type forgetful struct {
	core.Backend
	mu     sync.Mutex
	forgot map[int64]int64 // records, by Lease.ID
}

func forget(b core.Backend) core.Backend {
	return &forgetful{Backend: b, forgot: map[int64]int64{}}
}

func (b *forgetful) Claim(ctx context.Context, k core.RunKey, epoch int64) (core.Lease, core.Snapshot, error) {
	l, s, err := b.Backend.Claim(ctx, k, epoch)
	return l, b.forget(l, s), err
}

func (b *forgetful) Acquire(ctx context.Context, known core.Snapshot, h core.Holder) (core.Lease, core.Snapshot, error) {
	l, s, err := b.Backend.Acquire(ctx, known, h)
	return l, b.forget(l, s), err
}

func (b *forgetful) forget(l core.Lease, s core.Snapshot) core.Snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgot[l.ID] = 0
	if n := len(s.Steps); n > 1 {
		s.Steps, s.State, b.forgot[l.ID] = s.Steps[:n-1], s.Steps[n-2].State, 1
	}
	return s
}

func (b *forgetful) behind(l core.Lease) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.forgot[l.ID]
}

func (b *forgetful) Step(ctx context.Context, l core.Lease, rec core.StepRecord) error {
	rec.Seq += b.behind(l)
	return b.Backend.Step(ctx, l, rec)
}

func (b *forgetful) Finish(ctx context.Context, l core.Lease, rec core.FinishRecord) error {
	rec.Seq += b.behind(l)
	return b.Backend.Finish(ctx, l, rec)
}
