package core

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
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

// Budget is the most that one run may use, all its resumes together. Zero is no
// limit, but for Steps: there it is [DefaultSteps].
//
// Before a step and before each attempt its part is reserved, behind it the rest
// is given back. [Parallel] and [Map] split what is left evenly over their
// branches, so that no branch depends on the speed of another, and take back what
// a branch did not use. A reservation without cover stops the run with
// [*BudgetError]: nothing is overspent. It is saved as [Stopped] and can be
// resumed with a larger budget. What a step has used whose record was not saved, since
// a crash, a cancelled context or want of budget came before, is not counted by the
// resume, which begins that step again.
type Budget struct {
	Calls, Steps, Tokens, Cost int64
	// Wall is time in which steps are executed. Waiting for a person or a restart
	// does not count. An agent that has not returned at its end is abandoned.
	Wall time.Duration
}

// DefaultSteps is the most steps of a run that has no other limit.
const DefaultSteps = 100_000

// BudgetError is a run, or sub-pipeline, without budget for what comes next. No
// retry, fallback or loop can catch it.
type BudgetError struct {
	Resource   string // one of [Resources]
	Left, Need int64  // wall time in nanoseconds
	Path       string // of the step that needs it
}

func (e *BudgetError) Error() string {
	if e.Resource == wallTime {
		return fmt.Sprintf("budget: the wall time of %v is used up: resume with a larger budget", time.Duration(e.Need))
	}
	return fmt.Sprintf("budget: step %q needs %d %s and %d are left: resume with a larger budget", e.Path, e.Need, e.Resource, e.Left)
}

// purse is a budget in use.
type purse struct {
	outer   *purse // of the budget around: what is taken here is taken there too
	limited [4]bool

	mu   sync.Mutex
	left Usage // of what is limited
	used Usage
}

var resources = [4]string{"calls", "steps", "tokens", "cost"}

const wallTime = "wall time"

// Resources are what a run can be out of, as a [BudgetError] names them.
func Resources() []string { return append(slices.Clone(resources[:]), wallTime) }

func (u Usage) list() [4]int64 { return [4]int64{u.Calls, u.Steps, u.Tokens, u.Cost} }

func (p *purse) fill(b Budget) {
	p.left = Usage{b.Calls, b.Steps, b.Tokens, b.Cost}
	for i, n := range p.left.list() {
		p.limited[i] = n != 0
	}
}

// reserve takes u out of the purse and all around it, or nothing. Locks are taken
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

// settle replaces a reservation by what was used.
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

// meter is what one attempt uses. It belongs to a thread and is used again for
// the next attempt; the ticket keeps an abandoned agent off it.
type meter struct {
	mu             sync.Mutex
	ticket         uint64 // of the attempt under way
	running        bool
	purse          *purse
	due            Usage // to be reserved when the agent asks for it
	reserved, used Usage
	reported       bool
	free           bool // the answer came from a cache
	overdrawn      error
}

// asker is an agent that may do without a call: it asks for what an attempt
// reserves when it needs it ([Request.demand]).
type asker interface{ asks() }

// open begins an attempt. What it needs is reserved now, or where asks when the
// agent asks for it.
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

// demand reserves what is still due of the attempt.
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

// with calls f while the attempt of the ticket is under way.
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

// Spend reports tokens and cost of this attempt, before they are spent where that
// is possible. What goes beyond the step's [Reserve] is taken out of the budget;
// where there is no cover it is a [*BudgetError], nothing is spent, the agent
// should return, and the run stops.
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

// wall ends the context when the wall time is used up, less what the loaded
// records under path have used of it.
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
	if path == "" {
		steps = slices.Collect(maps.Values(r.records))
	}
	for _, p := range r.under(path) {
		if strings.HasPrefix(p, path+"/") {
			steps = append(steps, r.records[p])
		}
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
