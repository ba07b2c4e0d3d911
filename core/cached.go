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

// Cache keeps outputs of agents beyond a run. It may be used by several goroutines at
// once. The key contains the tenant. Values belong to the caller: a cache copies what it
// keeps and what it returns.
type Cache interface {
	// Get returns ok false if nothing was put under the key, or it is no longer kept.
	Get(ctx context.Context, key string) (value []byte, ok bool, err error)
	Put(ctx context.Context, key string, value []byte) error
}

// Cached returns an agent that looks in the cache before it calls agent. Outputs are
// kept by name, tenant and input; errors are not kept. Concurrent requests for one input
// in a process make one call, and all receive its output. A hit counts as no call and
// needs no budget. An error of the cache makes the attempt fail.
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
		f, leads := join(ctx, c.flight(key))
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
		// That call failed, and errors are not shared: try again.
	}
}

// lead answers the first of the concurrent requests for an input.
func (c *cached[In, Out]) lead(ctx context.Context, req Request[In], key string, f *flight) (out Out, err error) {
	defer f.land() // also if the agent panics or ends its goroutine
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

// flight returns the key of a request, which is the same for all agents that use the cache.
func (c *cached[In, Out]) flight(key string) flightKey {
	if reflect.ValueOf(c.cache).Comparable() {
		return flightKey{c.cache, key}
	}
	return flightKey{c, key}
}

// flights are the requests to caches that this process is answering.
var flights = struct {
	sync.Mutex
	open map[flightKey]*flight
}{open: map[flightKey]*flight{}}

type flightKey struct {
	cache any
	key   string
}

// flight is a request that is being answered.
type flight struct {
	key   flightKey
	ctx   context.Context // of the request
	done  chan struct{}   // closed at its end
	value []byte          // the output, written before done is closed; nil after an error
}

// join returns the open flight, or opens one, which the caller leads and lands.
func join(ctx context.Context, key flightKey) (f *flight, leads bool) {
	flights.Lock()
	defer flights.Unlock()
	// If its context has ended, its agent may be abandoned: nobody waits for that one.
	if f = flights.open[key]; f != nil && f.ctx.Err() == nil {
		return f, false
	}
	f = &flight{key: key, ctx: ctx, done: make(chan struct{})}
	flights.open[key] = f
	return f, true
}

// land ends a flight.
func (f *flight) land() {
	flights.Lock()
	defer flights.Unlock()
	if flights.open[f.key] == f {
		delete(flights.open, f.key)
	}
	close(f.done)
}

// wait returns the output, or nil if the flight ended without one.
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

// NewMemoryCache returns a [Cache] in memory for at most the given number of outputs. It
// drops the least recently put one.
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
