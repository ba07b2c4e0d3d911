package core

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"
)

// DefaultLease is how long other executors assume that an engine is alive after its
// last sign of life: the start or the claim of a run, or a heartbeat, which it makes
// three times in each lease while it executes runs.
const DefaultLease = 30 * time.Second

// WithExecutor names the engine in its runs, so that lists show who executes a run. No
// two engines may have the same name. The default is made of the host, the process and
// a random number.
func WithExecutor(name string) Option { return func(e *Engine) { e.executor = name } }

// WithLease sets how long other executors assume that the engine is alive after its last
// sign of life; the default is [DefaultLease]. With a shorter lease the runs of a dead
// process are continued sooner, but there are more heartbeats: three in each lease, for
// any number of runs.
func WithLease(term time.Duration) Option { return func(e *Engine) { e.lease = term } }

// executorName is the default name of an engine.
func executorName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d/%s", host, os.Getpid(), rand.Text()[:6])
}

// holder is this engine, which is alive at now.
func (e *Engine) holder(now time.Time) Holder {
	return Holder{Executor: e.executor, Until: now.Add(e.lease)}
}

// held are the runs that an engine is executing.
type held struct {
	mu    sync.Mutex
	runs  map[Lease]*tenure
	armed bool // a heartbeat is due
}

// tenure is the execution of a run by an engine.
type tenure struct {
	run    *run
	caller context.Context
	lose   context.CancelCauseFunc // ends the context of the run and of its agents
	over   bool
}

// hold begins a tenure: the lease is renewed until it ends, and the context ends when
// the lease is lost.
func (e *Engine) hold(caller context.Context, r *run) (context.Context, *tenure) {
	ctx, lose := context.WithCancelCause(caller)
	t := &r.tenure
	*t = tenure{run: r, caller: caller, lose: lose}
	h := &e.held
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.runs == nil {
		h.runs = map[Lease]*tenure{}
	}
	h.runs[r.lease] = t
	if !h.armed {
		// A timer instead of a goroutine: without runs there is nothing to do.
		h.armed = true
		time.AfterFunc(e.lease/3, e.beat)
	}
	return ctx, t
}

// end ends the tenure.
func (t *tenure) end() {
	t.over = true
	h := &t.run.engine.held
	h.mu.Lock()
	delete(h.runs, t.run.lease)
	h.mu.Unlock()
	t.lose(nil)
}

// cutShort, deferred, ends the tenure if the goroutine is being ended or panics, so that
// others can continue the run immediately.
func (t *tenure) cutShort() {
	if !t.over {
		t.end()
		t.run.engine.giveUp(t.caller, t.run.key, t.run.lease)
	}
}

// beat makes one heartbeat for all runs that are being executed.
func (e *Engine) beat() {
	h := &e.held
	h.mu.Lock()
	if h.armed = len(h.runs) > 0; !h.armed {
		h.mu.Unlock()
		return
	}
	leases := slices.Collect(maps.Keys(h.runs))
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), e.lease)
	defer cancel()
	lost, err := e.backend.Renew(ctx, e.holder(e.now()), leases)
	if err != nil {
		e.warn(ctx, "heartbeat", err) // the next one may succeed; until then the epoch decides
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range lost {
		if t, ok := h.runs[l]; ok {
			t.lose(fmt.Errorf("run %s, epoch %d: %w", t.run.key, l.Epoch, ErrFenced))
		}
	}
	time.AfterFunc(e.lease/3, e.beat)
}

// tenures returns those of a run. There are none unless this engine executes it.
func (e *Engine) tenures(key RunKey) (all []*tenure) {
	e.held.mu.Lock()
	defer e.held.mu.Unlock()
	for _, t := range e.held.runs {
		if t.run.key == key {
			all = append(all, t)
		}
	}
	return all
}

// executes reports whether this engine is executing the run.
func (e *Engine) executes(key RunKey) bool { return len(e.tenures(key)) > 0 }

// attended reports whether an executor that is alive has the run.
func (e *Engine) attended(snap *Snapshot) bool {
	return snap.Status == Running && (e.executes(snap.Start.Key) || snap.Holder.Alive(e.now()))
}

// giveUp lets others continue a run that this engine has stopped executing before its end.
func (e *Engine) giveUp(ctx context.Context, key RunKey, lease Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.lease)
	defer cancel()
	if _, err := e.backend.Renew(ctx, Holder{Executor: e.executor}, []Lease{lease}); err != nil {
		e.warn(ctx, fmt.Sprintf("give up run %s", key), err) // the lease will expire
	}
}
