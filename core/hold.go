package core

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"sync"
	"time"
)

// DefaultLease is how long other executors believe that an engine is alive after it
// was heard of last. It is heard of at the start of a run, when it takes a run over, and
// every third of this time.
const DefaultLease = 30 * time.Second

// WithExecutor names the engine in its runs: lists show who executes a run. Two
// engines must not have one name. The default is made of the host, the process and a
// random number.
func WithExecutor(name string) Option { return func(e *Engine) { e.executor = name } }

// WithLease is how long others believe that the engine is alive without hearing of
// it. A shorter lease lets the runs of a dead process go on sooner, and makes more
// heartbeats: three for each lease, whatever the number of runs. The default is
// [DefaultLease].
func WithLease(term time.Duration) Option { return func(e *Engine) { e.lease = term } }

// executorName is the default name of an engine.
func executorName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d/%s", host, os.Getpid(), rand.Text()[:6])
}

// holder is this engine, alive from now on.
func (e *Engine) holder() Holder { return Holder{Executor: e.executor, Until: e.now().Add(e.lease)} }

// held are the runs that an engine executes at this time.
type held struct {
	mu    sync.Mutex
	runs  map[Lease]heldRun
	armed bool // a heartbeat is due
}

type heldRun struct {
	key  RunKey
	lose context.CancelCauseFunc // ends the contexts of its agents
}

// hold enters a run among those whose leases are renewed. Its context ends when the
// lease is lost. The tenure must be ended.
func (e *Engine) hold(caller context.Context, key RunKey, lease Lease) (context.Context, tenure) {
	ctx, lose := context.WithCancelCause(caller)
	h := &e.held
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.runs == nil {
		h.runs = map[Lease]heldRun{}
	}
	h.runs[lease] = heldRun{key, lose}
	if !h.armed {
		// A timer and no goroutine: while no run is executed there is nothing to do.
		h.armed = true
		time.AfterFunc(e.lease/3, e.beat)
	}
	return ctx, tenure{engine: e, caller: caller, key: key, lease: lease, lose: lose}
}

// tenure is the time in which an engine executes a run.
type tenure struct {
	engine *Engine
	caller context.Context
	key    RunKey
	lease  Lease
	lose   context.CancelCauseFunc // ends the context of the run
	over   bool
}

// end takes the run out of those whose leases are renewed.
func (t *tenure) end() {
	t.over = true
	h := &t.engine.held
	h.mu.Lock()
	delete(h.runs, t.lease)
	h.mu.Unlock()
	t.lose(nil)
}

// cutShort, deferred, ends the tenure where the goroutine is being ended or panics,
// and lets others take the run up at once.
func (t *tenure) cutShort() {
	if !t.over {
		t.end()
		t.engine.giveUp(t.caller, t.key, t.lease)
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
	leases := make([]Lease, 0, len(h.runs))
	for l := range h.runs {
		leases = append(leases, l)
	}
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), e.lease)
	defer cancel()
	lost, err := e.backend.Renew(ctx, e.holder(), leases)
	if err != nil {
		e.warn(ctx, "heartbeat", err) // the next one may succeed; until then the epoch decides
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range lost {
		if r, ok := h.runs[l]; ok {
			r.lose(fmt.Errorf("run %s, epoch %d: %w", r.key, l.Epoch, ErrFenced))
		}
	}
	time.AfterFunc(e.lease/3, e.beat)
}

// executes reports whether this engine executes the run at this time.
func (e *Engine) executes(key RunKey) bool {
	h := &e.held
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.runs {
		if r.key == key {
			return true
		}
	}
	return false
}

// lose ends the contexts of a run that this engine may be executing.
func (e *Engine) lose(key RunKey, cause error) {
	h := &e.held
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.runs {
		if r.key == key {
			r.lose(cause)
		}
	}
}

// giveUp lets others take up a run at once that this engine has stopped executing
// before its end.
func (e *Engine) giveUp(ctx context.Context, key RunKey, lease Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.lease)
	defer cancel()
	if _, err := e.backend.Renew(ctx, Holder{Executor: e.executor}, []Lease{lease}); err != nil {
		e.warn(ctx, fmt.Sprintf("give up run %s", key), err) // its lease ends by itself
	}
}
