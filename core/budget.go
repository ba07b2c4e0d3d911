package core

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Usage is what work has used.
type Usage struct {
	Calls  int64 `json:"calls"` // of agents: every attempt counts, a hit of a cache does not
	Steps  int64 `json:"steps"`
	Tokens int64 `json:"tokens"`
	Cost   int64 `json:"cost"` // in millionths of the unit of account: micro-dollars, for example
}

func (u Usage) plus(v Usage) Usage {
	return Usage{u.Calls + v.Calls, u.Steps + v.Steps, u.Tokens + v.Tokens, u.Cost + v.Cost}
}

func (u Usage) minus(v Usage) Usage {
	return Usage{u.Calls - v.Calls, u.Steps - v.Steps, u.Tokens - v.Tokens, u.Cost - v.Cost}
}

// Budget is the most that one run may use, including its resumes. Zero means no limit,
// except that Steps is then 100,000.
//
// A reservation is made before each step and each attempt, and what was not used is
// given back afterwards. [Parallel] and [Map] split what is left evenly over their
// branches, so that no branch depends on the speed of another, and take back what a
// branch did not use. A reservation that the budget does not cover stops the run with
// [*BudgetError]: nothing is overspent. The run is saved as [Stopped] and can be resumed
// with a larger budget. If a step was cut off before its record was saved, the resume
// runs the step again and does not count what its first execution used.
type Budget struct {
	Calls, Steps, Tokens, Cost int64
	// Wall limits the time in which steps are executed. Waiting for a person or a restart
	// does not count. An agent that has not returned when it is used up is abandoned.
	Wall time.Duration
}

// defaultSteps limits the steps of a run whose budget does not.
const defaultSteps = 100_000

// BudgetError is a run, or sub-pipeline, without budget for its next step. No
// retry, fallback or loop can catch it.
type BudgetError struct {
	Resource   string // "calls", "steps", "tokens", "cost" or "wall time"
	Left, Need int64  // wall time in nanoseconds
	Path       string // of the step that needs it
}

func (e *BudgetError) outline() string { return e.Error() }

func (e *BudgetError) Error() string {
	if e.Resource == wallTime {
		return fmt.Sprintf("budget: the wall time of %v is used up: resume with a larger budget", time.Duration(e.Need))
	}
	return fmt.Sprintf("budget: step %q needs %d %s and %d are left: resume with a larger budget", e.Path, e.Need, e.Resource, e.Left)
}

// purse is what is left of a budget. What is taken from it is also taken from outer, the
// purse of the enclosing pipeline.
type purse struct {
	outer   *purse
	limited [4]bool

	mu   sync.Mutex
	left Usage // of what is limited
	used Usage
}

var resources = [4]string{"calls", "steps", "tokens", "cost"}

const wallTime = "wall time"

func (u Usage) list() [4]int64 { return [4]int64{u.Calls, u.Steps, u.Tokens, u.Cost} }

func (p *purse) fill(b Budget) {
	p.left = Usage{b.Calls, b.Steps, b.Tokens, b.Cost}
	for i, n := range p.left.list() {
		p.limited[i] = n != 0
	}
}

// reserve takes u out of the purse and all outer ones, or nothing. Locks are taken
// from the inside out.
func (p *purse) reserve(u Usage, path string) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.left.list()
	for i, need := range u.list() {
		if p.limited[i] && need > 0 && left[i] < need {
			return &BudgetError{Resource: resources[i], Left: max(left[i], 0), Need: need, Path: path}
		}
	}
	if err := p.outer.reserve(u, path); err != nil {
		return err
	}
	p.left = p.left.minus(u)
	return nil
}

// settle replaces a reservation with what was used.
func (p *purse) settle(reserved, used Usage) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = p.left.plus(reserved).minus(used)
	p.used = p.used.plus(used)
	p.outer.settle(reserved, used)
}

// take reserves u and uses it.
func (p *purse) take(u Usage, path string) error {
	err := p.reserve(u, path)
	if err == nil {
		p.settle(u, u)
	}
	return err
}

// spent enters what was used before the run was resumed.
func (p *purse) spent(u Usage) { p.settle(Usage{}, u) }

// split divides what is left into n purses; the first ones get the remainder.
func (p *purse) split(n int) []*purse {
	parts := make([]*purse, n)
	if p == nil || n == 0 {
		return parts
	}
	outer := p.outer.split(n)
	p.mu.Lock()
	defer p.mu.Unlock()
	share := func(left int64, i int) int64 {
		left = max(left, 0)
		part := left / int64(n)
		if int64(i) < left%int64(n) {
			part++
		}
		return part
	}
	for i := range parts {
		parts[i] = &purse{outer: outer[i], limited: p.limited, left: Usage{
			share(p.left.Calls, i), share(p.left.Steps, i), share(p.left.Tokens, i), share(p.left.Cost, i),
		}}
	}
	for _, part := range parts {
		p.left = p.left.minus(part.left)
	}
	return parts
}

// giveBack returns what is left of a part, and enters what it used.
func (p *purse) giveBack(part *purse) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = p.left.plus(part.left)
	p.used = p.used.plus(part.used)
	p.outer.giveBack(part.outer)
}

// meter counts what one attempt uses. A thread has one meter for all its attempts; the
// ticket prevents an abandoned agent from using it.
type meter struct {
	mu             sync.Mutex
	ticket         uint64 // of the current attempt
	running        bool
	purse          *purse
	due            Usage // to be reserved when the agent demands it
	reserved, used Usage
	reported       bool
	free           bool // the answer came from a cache
	overdrawn      error
}

// asker is an agent that may not need a call, and demands the reservation of an attempt
// when it does ([Request.demand]).
type asker interface{ asks() }

// open begins an attempt. If asks is false, what it needs is reserved now.
func (m *meter) open(p *purse, needs Usage, path string, asks bool) (ticket uint64, stop error) {
	due := Usage{}
	if asks {
		due, needs = needs, due
	} else if stop := p.reserve(needs, path); stop != nil {
		return 0, stop
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ticket++
	m.running, m.purse, m.due, m.reserved, m.used = true, p, due, needs, Usage{}
	m.reported, m.free, m.overdrawn = false, false, nil
	return m.ticket, nil
}

// demand makes the reservation of an attempt whose agent is an asker.
func (r Request[In]) demand() error {
	return r.meter.with(r.ticket, r.Path, func() error {
		m := r.meter
		if err := m.purse.reserve(m.due, r.Path); err != nil {
			m.overdrawn = err
			return err
		}
		m.reserved, m.due = m.reserved.plus(m.due), Usage{}
		return nil
	})
}

// close ends the attempt. An agent that did not report has used what was reserved.
func (m *meter) close() (used Usage, overdrawn error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running = false
	used = m.reserved
	if m.reported || m.free {
		used = m.used
		used.Calls = m.reserved.Calls
	}
	if m.free {
		used.Calls = 0
	}
	m.purse.settle(m.reserved, used)
	return used, m.overdrawn
}

// with calls f if the attempt of the ticket has not ended.
func (m *meter) with(ticket uint64, path string, f func() error) error {
	if m == nil {
		return nil // a request made outside an engine
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.running || m.ticket != ticket {
		return fmt.Errorf("step %q: its attempt has ended, nothing can be spent for it", path)
	}
	return f()
}

// Spend reports tokens and cost of this attempt, if possible before they are spent.
// What exceeds the step's [Reserve] is taken out of the budget. If the budget does not
// cover it, Spend returns a [*BudgetError] and counts nothing; the agent should return,
// and the run stops.
func (r Request[In]) Spend(tokens, cost int64) error {
	return r.meter.with(r.ticket, r.Path, func() error {
		m := r.meter
		if tokens < 0 || cost < 0 {
			return fmt.Errorf("step %q: %d tokens and a cost of %d cannot be spent: use 0 or more", r.Path, tokens, cost)
		}
		used := m.used.plus(Usage{Tokens: tokens, Cost: cost})
		more := Usage{Tokens: max(0, used.Tokens-m.reserved.Tokens), Cost: max(0, used.Cost-m.reserved.Cost)}
		if err := m.purse.reserve(more, r.Path); err != nil {
			m.overdrawn = err
			return err
		}
		m.reserved, m.used, m.reported = m.reserved.plus(more), used, true
		return nil
	})
}

// narrow sets a budget within the one of the run until end is called.
func (t *thread) narrow(ctx context.Context, r *run, path string, b Budget) (narrowed context.Context, end func()) {
	if b == (Budget{}) {
		return ctx, func() {}
	}
	outer := t.purse
	t.purse = &purse{outer: outer}
	t.purse.fill(b)
	ctx, cancel := r.wall(ctx, path, b.Wall)
	return ctx, func() {
		cancel()
		t.purse = outer
	}
}

// wall returns a context that ends when the wall time is used up. The loaded records
// under path have used part of it.
func (r *run) wall(ctx context.Context, path string, most time.Duration) (context.Context, context.CancelFunc) {
	if most == 0 {
		return ctx, func() {}
	}
	left := most - r.active(path)
	return context.WithTimeoutCause(ctx, left, &BudgetError{Resource: wallTime, Need: int64(most)})
}

// active is the time in which loaded steps under path were executed: the union of
// their times, since branches overlap.
func (r *run) active(path string) (total time.Duration) {
	var steps []*StepRecord
	for _, p := range r.under(path) {
		steps = append(steps, r.records[p])
	}
	slices.SortFunc(steps, func(a, b *StepRecord) int { return a.Started.Compare(b.Started) })
	var end time.Time
	for _, s := range steps {
		if s.Status == Paused || !s.Ended.After(end) {
			continue
		}
		from := s.Started
		if from.Before(end) {
			from = end
		}
		total, end = total+s.Ended.Sub(from), s.Ended
	}
	return total
}
