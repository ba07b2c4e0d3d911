package core

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/flujo/flujo-harness/core/internal/codec"
)

// Cache keeps outputs of agents beyond a run. It may be used by several goroutines
// at once. The key holds the tenant: a cache need not know of it. Values belong to the
// caller: a cache copies what it keeps and what it returns.
type Cache interface {
	// Get returns ok false where nothing was put under the key, or it is kept no longer.
	Get(ctx context.Context, key string) (value []byte, ok bool, err error)
	Put(ctx context.Context, key string, value []byte) error
}

// Cached is an agent that asks the cache before it calls agent. Outputs are kept
// under name, tenant and input; errors are not kept. Requests for one input that
// come at once in a process make one call: the others wait for its output. A hit
// counts as no call and needs no budget for one. An error of the cache makes the
// attempt fail.
func Cached[In, Out any](name string, cache Cache, agent Agent[In, Out]) Agent[In, Out] {
	c := &cached[In, Out]{name: name, cache: cache, agent: agent}
	if c.in, c.problem = codec.New[In](); c.problem == nil {
		c.out, c.problem = codec.New[Out]()
	}
	return c
}

type cached[In, Out any] struct {
	name    string
	cache   Cache
	agent   Agent[In, Out]
	in      *codec.Codec[In]
	out     *codec.Codec[Out]
	problem error
}

func (c *cached[In, Out]) check() string {
	switch {
	case c.name == "":
		return "the cached agent has no name: it keeps its outputs apart from those of others"
	case c.cache == nil:
		return "no cache: NewMemoryCache is one"
	case c.agent == nil:
		return "no agent: a cached one needs one to call"
	case c.problem != nil:
		return fmt.Sprintf("the agent cannot be cached: %v", c.problem)
	}
	if inner, ok := any(c.agent).(interface{ check() string }); ok {
		return inner.check()
	}
	return ""
}

// Call implements [Agent].
func (c *cached[In, Out]) Call(ctx context.Context, req Request[In]) (Out, error) {
	var out Out
	input, err := c.in.Encode(&req.Input)
	if err != nil {
		return out, fmt.Errorf("cached agent %q: its input cannot be a key: %w", c.name, err)
	}
	// JSON keeps the parts apart, whatever characters they hold.
	parts, err := json.Marshal([]string{req.Run.Tenant, c.name})
	if err != nil {
		return out, err
	}
	key := fmt.Sprintf("%s %x", parts, sha256.Sum256(input))
	for {
		f, leads := flights.join(ctx, c.flight(key))
		if leads {
			return c.lead(ctx, req, key, f)
		}
		value, err := f.wait(ctx)
		if err != nil {
			return out, err
		}
		if value != nil {
			return c.hit(req, value)
		}
		// Its call failed, which is not kept: this one calls itself.
	}
}

// lead answers a request for which no other is under way.
func (c *cached[In, Out]) lead(ctx context.Context, req Request[In], key string, f *flight) (out Out, err error) {
	defer flights.land(f) // also where the agent panics or ends its goroutine
	value, ok, err := c.cache.Get(ctx, key)
	if err != nil {
		return out, fmt.Errorf("cached agent %q: read the cache: %w", c.name, err)
	}
	if ok {
		f.value = value
		return c.hit(req, value)
	}
	if err := req.demand(); err != nil {
		return out, err
	}
	if out, err = c.agent.Call(ctx, req); err != nil {
		return out, err
	}
	if value, err = c.out.Encode(&out); err != nil {
		return out, fmt.Errorf("cached agent %q: its output cannot be kept: %w", c.name, err)
	}
	f.value = value
	if err := c.cache.Put(ctx, key, value); err != nil {
		return out, fmt.Errorf("cached agent %q: write the cache: %w", c.name, err)
	}
	return out, nil
}

// hit answers from a kept output.
func (c *cached[In, Out]) hit(req Request[In], value []byte) (out Out, err error) {
	if err := c.out.Decode(value, &out); err != nil {
		return out, fmt.Errorf("cached agent %q: the cached output does not fit %T: %w", c.name, out, err)
	}
	return out, req.meter.with(req.ticket, req.Path, func() error {
		req.meter.free = true
		return nil
	})
}

func (c *cached[In, Out]) asks() {}

// flight is the identity of a request: one for all agents that use the cache.
func (c *cached[In, Out]) flight(key string) flightKey {
	if reflect.ValueOf(c.cache).Comparable() {
		return flightKey{c.cache, key}
	}
	return flightKey{c, key}
}

// flights of this process: requests to caches that are under way.
var flights = flightMap{under: map[flightKey]*flight{}}

type flightMap struct {
	mu    sync.Mutex
	under map[flightKey]*flight
}

type flightKey struct {
	cache any
	key   string
}

// flight is a request under way.
type flight struct {
	key   flightKey
	ctx   context.Context // of the request
	done  chan struct{}   // closed at its end
	value []byte          // of the output; nil where there is none. Written before done is closed
}

// join returns the flight under way, or begins one, which the caller leads and lands.
func (m *flightMap) join(ctx context.Context, key flightKey) (f *flight, leads bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// One whose context has ended may be that of an abandoned agent: nobody waits for it.
	if f = m.under[key]; f != nil && f.ctx.Err() == nil {
		return f, false
	}
	f = &flight{key: key, ctx: ctx, done: make(chan struct{})}
	m.under[key] = f
	return f, true
}

// land ends a flight.
func (m *flightMap) land(f *flight) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.under[f.key] == f {
		delete(m.under, f.key)
	}
	close(f.done)
}

// wait returns the output, nil where there is none.
func (f *flight) wait(ctx context.Context) ([]byte, error) {
	select {
	case <-f.done:
		return f.value, nil
	case <-f.ctx.Done():
		return nil, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// NewMemoryCache is a [Cache] in the process that keeps the most recently put
// outputs, at most the given number.
func NewMemoryCache(most int) Cache { return &memoryCache{most: most, values: map[string][]byte{}} }

type memoryCache struct {
	most   int
	mu     sync.Mutex
	values map[string][]byte
	order  []string // of putting
}

func (c *memoryCache) Get(_ context.Context, key string) ([]byte, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	value, ok := c.values[key]
	return bytes.Clone(value), ok, nil
}

func (c *memoryCache) Put(_ context.Context, key string, value []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.values[key]; ok {
		c.order = slices.DeleteFunc(c.order, func(k string) bool { return k == key })
	}
	c.order = append(c.order, key)
	c.values[key] = bytes.Clone(value)
	for len(c.order) > max(c.most, 0) {
		delete(c.values, c.order[0])
		c.order = c.order[1:]
	}
	return nil
}
