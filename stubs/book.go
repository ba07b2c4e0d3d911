package stubs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/flujo/flujo-harness/core"
)

// Load is how many runs one arm of a test or measurement makes: Warmups, and
// Rounds of Batch each. It is the whole plan: what is not in it must not run.
type Load struct {
	Arm     string // scope of the scripts: "with", "backend", …
	Warmups int
	Rounds  int
	Batch   int
}

// Runs is the number of runs of the arm.
func (l Load) Runs() int { return l.Warmups + l.Rounds*l.Batch }

// Plan is what a book needs to know of a pipeline; core.Pipeline has it.
type Plan interface {
	Paths() []string
	MaxCalls() map[string]int
	MinCalls() map[string]int
	LanePath(path string) string
}

// Book holds one script for each step in each arm. It is safe for concurrent use
// once it is made.
type Book struct {
	plan Plan
	arms map[string]*arm
	seed uint64
	ring ring

	mu     sync.Mutex
	faults []error // what must not be swallowed
}

// arm is a scope: the scripts of its steps by path in the plan.
type arm struct {
	book    *Book
	load    Load
	scripts map[string]*script

	mu   sync.Mutex
	runs map[core.RunKey]*turns // of scripts that are read in order
}

// turns are the places of one run in its scripts.
type turns struct {
	execution uint64
	next      map[turn]int
}

// turn is one reader of a run: an agent, in one lane.
type turn struct {
	agent reader
	lane  string
}

// reader is an agent whatever its types.
type reader interface {
	unread(n int) (have int, left bool)
}

type script struct {
	arm    *arm
	calls  int // worst case of one run
	least  int // that every completed run makes
	have   int // outputs
	mutant int // outputs taken away by Remove
	asked  atomic.Int64
}

// Size makes the scripts for a pipeline under the given loads: in each arm every
// step gets (warm-ups + rounds x batch) x worst-case calls per run outputs.
func Size(p Plan, loads ...Load) (*Book, error) {
	b := &Book{plan: p, arms: map[string]*arm{}}
	b.Transcript(defaultRing)
	if len(loads) == 0 {
		return nil, errors.New("size scripts: no load: say how often each arm runs")
	}
	calls, least := p.MaxCalls(), p.MinCalls()
	for _, l := range loads {
		if l.Arm == "" || l.Warmups < 0 || l.Rounds < 0 || l.Batch < 0 || l.Runs() == 0 {
			return nil, fmt.Errorf("size scripts: load %+v: an arm needs a name and at least one run", l)
		}
		if b.arms[l.Arm] != nil {
			return nil, fmt.Errorf("size scripts: arm %q is given twice", l.Arm)
		}
		a := &arm{book: b, load: l, scripts: map[string]*script{}, runs: map[core.RunKey]*turns{}}
		for _, path := range p.Paths() {
			a.scripts[path] = &script{arm: a, calls: calls[path], least: least[path], have: l.Runs() * calls[path]}
		}
		b.arms[l.Arm] = a
	}
	return b, nil
}

// Seed sets the seed that all random numbers of the scripts follow from. The
// default is 0. Call it before the first run.
func (b *Book) Seed(seed uint64) *Book {
	b.seed = seed
	return b
}

type scopeKey struct{}

// armContext is a context that knows its arm: found without a search where nothing
// has been put around it.
type armContext struct {
	context.Context
	arm *arm
}

func (c *armContext) Value(key any) any {
	if key == (scopeKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// In returns a context whose scripted agents read the scripts of the given arm.
func (b *Book) In(ctx context.Context, arm string) (context.Context, error) {
	a, ok := b.arms[arm]
	if !ok {
		return nil, fmt.Errorf("scripts: no arm %q: the book has %v", arm, slices.Sorted(maps.Keys(b.arms)))
	}
	return &armContext{ctx, a}, nil
}

// Remove takes n outputs away from the end of a script: the fault that the
// self-tests make on purpose. Call it before the first run.
func (b *Book) Remove(armName, path string, n int) error {
	if a := b.arms[armName]; a != nil && a.scripts[path] != nil {
		a.scripts[path].have -= n
		a.scripts[path].mutant += n
		return nil
	}
	return fmt.Errorf("scripts: no step %q in arm %q", path, armName)
}

// script finds the script of a path in a run.
func (a *arm) script(path string) (*script, error) {
	if s := a.scripts[core.PlanPath(path)]; s != nil {
		return s, nil
	}
	return nil, a.book.fault(&UnscriptedError{Step: path, Problem: fmt.Sprintf("the book of arm %q has no script for it: size the book from the pipeline that is run", a.load.Arm)})
}

// turn counts one more call of an agent within its run and lane and returns how
// many there were before. A new execution under the same key begins anew; a
// resumed one (0) goes on where the run was.
func (a *arm) turn(agent reader, run core.RunKey, path string, execution uint64) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.runs[run]
	if r == nil || execution != 0 && r.execution != execution {
		if r != nil {
			a.book.leftovers(a, run, r)
		}
		r = &turns{execution: execution, next: map[turn]int{}}
		a.runs[run] = r
	}
	t := turn{agent, a.book.plan.LanePath(path)}
	n := r.next[t]
	r.next[t] = n + 1
	return n
}

// scope names one run of the arm in messages.
func (a *arm) scope(run core.RunKey) string {
	return fmt.Sprintf("arm %q, run %q", a.load.Arm, run.String())
}

// formula is how the script was sized, with its numbers.
func (s *script) formula() string {
	l := s.arm.load
	text := fmt.Sprintf("(%d warm-ups + %d rounds x %d runs) x %d calls a run = %d", l.Warmups, l.Rounds, l.Batch, s.calls, s.have+s.mutant)
	if s.mutant != 0 {
		text += fmt.Sprintf(", less %d removed", s.mutant)
	}
	return text
}

// fault remembers a fault of the harness and returns it.
func (b *Book) fault(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faults) < 100 { // enough to explain; a loop that swallows errors must not fill the memory
		b.faults = append(b.faults, err)
	}
	return err
}

// leftovers remembers the replies that a run has left unread.
func (b *Book) leftovers(a *arm, run core.RunKey, r *turns) {
	for _, err := range a.unread(run, r) {
		_ = b.fault(err)
	}
}

// unread lists the scripts that a run has not read to their ends.
func (a *arm) unread(run core.RunKey, r *turns) (errs []error) {
	for t, n := range r.next {
		if have, left := t.agent.unread(n); left {
			errs = append(errs, &LeftoverError{Step: t.lane, Scope: a.scope(run), Asked: n, Least: have,
				Formula: fmt.Sprintf("%d replies a run, written out", have)})
		}
	}
	return errs
}

// Verify reports, joined, what must not pass in silence even where the error was
// swallowed: scripts that ran dry, calls without a script and unexpected inputs;
// replies that a run left unread; and scripts that were read less often than the
// planned runs must have read them.
func (b *Book) Verify() error {
	b.mu.Lock()
	errs := slices.Clone(b.faults)
	b.mu.Unlock()
	var late []error
	for _, name := range slices.Sorted(maps.Keys(b.arms)) {
		a := b.arms[name]
		a.mu.Lock()
		for run, r := range a.runs {
			late = append(late, a.unread(run, r)...)
		}
		a.mu.Unlock()
	}
	slices.SortFunc(late, func(x, y error) int { return strings.Compare(x.Error(), y.Error()) })
	errs = append(errs, late...)
	b.each(func(a *arm, path string, s *script) {
		if asked, least := int(s.asked.Load()), a.load.Runs()*s.least; asked < least {
			errs = append(errs, &LeftoverError{Step: path, Scope: fmt.Sprintf("arm %q", a.load.Arm), Asked: asked, Least: least, Formula: s.formula()})
		}
	})
	return errors.Join(errs...)
}

// String shows the size of every script with its formula.
func (b *Book) String() string {
	var out strings.Builder
	total := 0
	b.each(func(a *arm, path string, s *script) {
		total += s.have
		fmt.Fprintf(&out, "%s %s: %s\n", a.load.Arm, path, s.formula())
	})
	fmt.Fprintf(&out, "total: %d outputs", total)
	return out.String()
}

// each visits all scripts in the order of their names.
func (b *Book) each(visit func(*arm, string, *script)) {
	for _, name := range slices.Sorted(maps.Keys(b.arms)) {
		for _, path := range slices.Sorted(maps.Keys(b.arms[name].scripts)) {
			visit(b.arms[name], path, b.arms[name].scripts[path])
		}
	}
}
