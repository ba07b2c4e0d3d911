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
	"time"

	"github.com/flujo/flujo-harness/core"
)

// Load is the number of runs of one arm of a test or measurement: Warmups plus Rounds of Batch
// runs each. Further runs exhaust the scripts.
type Load struct {
	Arm     string // scope of the scripts: "with", "backend", …
	Warmups int
	Rounds  int
	Batch   int
	Resumes int // maximum number of times that one run is interrupted and resumed, repeating calls
}

// Runs returns the number of runs of the arm.
func (l Load) Runs() int { return l.Warmups + l.Rounds*l.Batch }

func (l Load) problem() string {
	switch measured, ok := product(l.Rounds, l.Batch); {
	case l.Arm == "":
		return "an arm needs a name"
	case l.Warmups < 0 || l.Rounds < 0 || l.Batch < 0 || l.Resumes < 0:
		return "numbers are 0 or more"
	case !ok || l.Warmups > mostOutputs || l.Resumes > mostOutputs:
		return "these are more runs than can be counted: plan less"
	case l.Warmups+measured == 0:
		return "an arm needs at least one run"
	}
	return ""
}

// mostOutputs is the maximum size of a script, so that sums of scripts cannot overflow.
const mostOutputs = 1 << 52

// product multiplies non-negative numbers; ok is false if the result exceeds mostOutputs.
func product(numbers ...int) (p int, ok bool) {
	p = 1
	for _, n := range numbers {
		if n > 0 && p > mostOutputs/n {
			return 0, false
		}
		p *= n
	}
	return p, true
}

// Plan is the information about a pipeline that a book needs. core.Pipeline implements it.
type Plan interface {
	Paths() []string
	MaxCalls() map[string]int
	MinCalls() map[string]int
	LanePath(path string) string
}

// Book holds one script per step and arm. It is safe for concurrent use after its configuration
// (Seed, Optional, Requests, Transcript, …) is complete.
type Book struct {
	plan Plan
	arms map[string]*arm
	seed uint64
	ring ring

	mu     sync.Mutex
	faults []error // first mostFaults errors, for Verify
	more   int     // number of further errors
}

// mostFaults is the maximum number of errors that a book keeps, so that a loop that swallows
// errors does not exhaust memory.
const mostFaults = 100

// arm is a scope: the scripts of its steps by path in the plan.
type arm struct {
	book    *Book
	load    Load
	scripts map[string]*script

	rehearsal *Rehearsal // nil if none was requested
	free      bool       // without a plan: scripts are created on demand

	// These are for agents that read replies in order. Entries are never dropped, because a further
	// call must find that its script has ended. Like the calls, they are bounded by the plan.
	mu     sync.Mutex
	runs   map[core.RunKey]*executed // the latest execution of each run
	places map[reading]*int          // number of calls so far
	latest *executed                 // the execution that was found last
	at     reading                   // the reader of the last call
	calls  *int                      // the counter of at

	elsewhere map[lane]int // calls of resumed runs in other processes, see Resumed
}

// executed is one execution of a run with its resumes, as far as this process knows.
type executed struct {
	run    core.RunKey
	number uint64    // 0 if it was started in another process or outside an engine
	before *executed // previous execution with the same key
}

// reading identifies a reader of a run: an agent in one lane.
type reading struct {
	by    *executed
	agent reader
	lane  string
}

// reader is an agent of any types.
type reader interface {
	unread(n int) (least int, left bool)
}

type script struct {
	arm      *arm
	path     string // path in the plan
	items    bool   // each item of a map reads from the beginning
	calls    int    // maximum number of calls per run
	requests int    // per call, see Requests
	least    int    // number of calls that every completed run makes, without retries
	have     int    // number of outputs
	taken    int    // number of outputs that Remove has removed
	asked    atomic.Int64
	again    atomic.Int64 // number of calls by retries
}

// Size creates the scripts for a pipeline under the given loads. In each arm the script of a step
// has (warm-ups + rounds x batch) x (worst-case calls per run) outputs, and as many again for each
// of Resumes.
func Size(p Plan, loads ...Load) (*Book, error) {
	if p == nil {
		return nil, errors.New("size scripts: no plan: give the pipeline, or use ForTest if there is none")
	}
	_, free := p.(noPlan)
	b := &Book{plan: p, arms: map[string]*arm{}, ring: ring{born: time.Now()}}
	b.Transcript(defaultRing)
	if len(loads) == 0 {
		return nil, errors.New("size scripts: no load: set how often each arm runs")
	}
	calls, least := p.MaxCalls(), p.MinCalls()
	for _, l := range loads {
		if problem := l.problem(); problem != "" {
			return nil, fmt.Errorf("size scripts: load %+v: %s", l, problem)
		}
		if b.arms[l.Arm] != nil {
			return nil, fmt.Errorf("size scripts: arm %q is given twice", l.Arm)
		}
		a := &arm{book: b, load: l, scripts: map[string]*script{}, free: free, runs: map[core.RunKey]*executed{}, places: map[reading]*int{}}
		for _, path := range p.Paths() {
			have, ok := product(l.Runs(), 1+l.Resumes, calls[path])
			if !ok {
				return nil, fmt.Errorf("size scripts: load %+v: %d runs x %d calls of step %q are more than can be counted: plan less", l, l.Runs(), calls[path], path)
			}
			items := p.LanePath(strings.ReplaceAll(path, "/", "#1/")+"#1") != path
			a.scripts[path] = &script{arm: a, path: path, items: items, calls: calls[path], least: least[path], have: have, requests: 1}
		}
		b.arms[l.Arm] = a
	}
	return b, nil
}

// Seed sets the random seed of the book, by default 0. It must be called before the first run.
func (b *Book) Seed(seed uint64) *Book {
	b.seed = seed
	return b
}

type scopeKey struct{}

// armContext is a context with an arm. If it is not wrapped in another context, the arm is found
// without a lookup.
type armContext struct {
	context.Context
	arm *arm
}

func (c *armContext) Value(key any) any {
	if _, ok := key.(scopeKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// In returns a context in which scripted agents read the scripts of the given arm.
func (b *Book) In(ctx context.Context, arm string) (context.Context, error) {
	a, err := b.arm(arm)
	if err != nil {
		return nil, err
	}
	return &armContext{ctx, a}, nil
}

func (b *Book) arm(name string) (*arm, error) {
	a, ok := b.arms[name]
	if !ok {
		return nil, fmt.Errorf("scripts: no arm %q: the book has %v", name, slices.Sorted(maps.Keys(b.arms)))
	}
	return a, nil
}

// Remove removes n outputs from the end of a script, to test that exhaustion is detected. It must
// be called before the first run.
func (b *Book) Remove(armName, path string, n int) error {
	a := b.arms[armName]
	if a == nil || a.scripts[path] == nil {
		return fmt.Errorf("scripts: no step %q in arm %q", path, armName)
	}
	s := a.scripts[path]
	if n < 0 || n > s.have {
		return fmt.Errorf("scripts: %d outputs cannot be removed from the %d of step %q in arm %q", n, s.have, path, armName)
	}
	s.have, s.taken = s.have-n, s.taken+n
	return nil
}

// Optional marks steps, by path in the plan, that a run is allowed to skip, such as steps whose
// agents are not scripted or are cached. It must be called before the first run.
func (b *Book) Optional(paths ...string) error {
	for _, path := range paths {
		for name, a := range b.arms {
			if a.scripts[path] == nil {
				return fmt.Errorf("scripts: no step %q in arm %q", path, name)
			}
			a.scripts[path].least = 0
		}
	}
	return nil
}

// script finds the script of a path in a run.
func (a *arm) script(path string) (*script, error) {
	if a.free {
		return a.unplanned(core.PlanPath(path)), nil
	}
	if s := a.scripts[core.PlanPath(path)]; s != nil {
		return s, nil
	}
	return nil, a.book.fault(&UnscriptedError{Step: path, Problem: fmt.Sprintf("the book of arm %q has no script for it: size the book from the pipeline that is run", a.load.Arm)})
}

// planned reports whether a path in a run belongs to this script: core.PlanPath maps it to the
// script's path in the plan.
func (s *script) planned(path string) bool {
	at, number := 0, false
	for i := range len(path) {
		switch path[i] {
		case '#':
			number = true
		case '/':
			number = false
		}
		if number {
			continue
		}
		if at == len(s.path) || s.path[at] != path[i] {
			return false
		}
		at++
	}
	return at == len(s.path)
}

// lane returns the part of a path that identifies the sequence of calls in which a call is counted.
func (s *script) lane(path string) string {
	if s.items {
		return s.arm.book.plan.LanePath(path)
	}
	return s.path
}

// turn counts a call of an agent within its run and lane, and returns the number of previous calls.
func (a *arm) turn(agent reader, place string, run core.RunKey, execution uint64) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at := (reading{a.executed(run, execution), agent, place}); at != a.at {
		a.at, a.calls = at, a.places[at]
		if a.calls == nil {
			a.calls = new(int)
			if at.by.number == 0 {
				*a.calls = a.elsewhere[lane{run, place}]
			}
			a.places[at] = a.calls
		}
	}
	*a.calls++
	return *a.calls - 1
}

// executed finds an execution by its number, which increases with every start of a run in the
// process. A new number under a known key starts the scripts from the beginning; 0, for a resumed
// run, continues with the latest execution.
func (a *arm) executed(run core.RunKey, number uint64) *executed {
	latest := a.latest
	if latest == nil || latest.run != run {
		latest = a.runs[run]
	}
	switch {
	case latest == nil || number > latest.number:
		latest = &executed{run, number, latest}
		a.runs[run] = latest
		fallthrough
	case number == 0 || number == latest.number:
		a.latest = latest
		return latest
	}
	e := latest
	for e.before != nil && e.before.number > number {
		e = e.before
	}
	if e.before == nil || e.before.number != number {
		e.before = &executed{run, number, e.before}
	}
	return e.before
}

// scope returns the name of a run of the arm for messages.
func (a *arm) scope(run core.RunKey) string {
	if a.free && run == (core.RunKey{}) {
		return "this test"
	}
	return fmt.Sprintf("arm %q, run %q", a.load.Arm, run.String())
}

// formula returns the formula that the script was sized by, with its numbers.
func (s *script) formula() string {
	l := s.arm.load
	text := fmt.Sprintf("(%d warm-ups + %d rounds x %d runs) x ", l.Warmups, l.Rounds, l.Batch)
	if l.Resumes != 0 {
		text += fmt.Sprintf("(1 + %d resumes) x ", l.Resumes)
	}
	text += fmt.Sprintf("%d calls a run", s.calls)
	if s.requests > 1 {
		text += fmt.Sprintf(" x %d requests a call", s.requests)
	}
	text += fmt.Sprintf(" = %d", s.have+s.taken)
	if s.taken != 0 {
		text += fmt.Sprintf(", less %d removed", s.taken)
	}
	return text
}

// dry returns the error of a call after the end of the script.
func (s *script) dry(path string, asked int) error {
	b := s.arm.book
	return b.fault(&ExhaustedError{Step: path, Scope: fmt.Sprintf("arm %q", s.arm.load.Arm), Have: s.have, Asked: asked,
		Formula: s.formula(), Calls: b.Calls(3)})
}

// fault records an error for Verify and returns it.
func (b *Book) fault(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faults) < mostFaults {
		b.faults = append(b.faults, err)
	} else {
		b.more++
	}
	return err
}

// Verify returns the joined errors of all calls, even if the program under test swallowed them:
// exhausted scripts, calls without a script, and unexpected inputs. It also returns errors for
// replies that a run left unread, and for scripts that were read less often than the planned runs
// require, not counting retries. It must be called after the last run.
func (b *Book) Verify() error {
	b.mu.Lock()
	errs, more := slices.Clone(b.faults), b.more
	b.mu.Unlock()
	left := b.leftovers()
	if room := mostFaults - len(errs); len(left) > room {
		left, more = left[:room], more+len(left)-room
	}
	errs = append(errs, left...)
	if more != 0 {
		errs = append(errs, fmt.Errorf("scripts: %d more faults: %w", more, core.ErrHarness))
	}
	return errors.Join(errs...)
}

// leftovers returns an error for each script that was read less often than required.
func (b *Book) leftovers() (errs []error) {
	b.each(func(a *arm, path string, s *script) {
		if first, least := int(s.asked.Load()-s.again.Load()), a.load.Runs()*s.least; first < least {
			errs = append(errs, &LeftoverError{Step: path, Scope: fmt.Sprintf("arm %q", a.load.Arm), Asked: first, Least: least, Formula: s.formula()})
		}
	})
	sized := len(errs)
	for _, a := range b.arms {
		a.mu.Lock()
		for at, calls := range a.places {
			least, left := at.agent.unread(*calls)
			switch _, order := at.agent.(*order); {
			case left && order:
				errs = append(errs, &OrderError{Scope: a.scope(at.by.run), Call: *calls + 1, Of: least})
			case left:
				errs = append(errs, &LeftoverError{Step: at.lane, Scope: a.scope(at.by.run), Asked: *calls, Least: least, Formula: written(least), PerRun: true})
			}
		}
		a.mu.Unlock()
	}
	slices.SortFunc(errs[sized:], func(x, y error) int { return strings.Compare(x.Error(), y.Error()) })
	return errs
}

// String returns the size of every script with its formula.
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
		if b.arms[name].free {
			continue // any number of calls is valid
		}
		for _, path := range slices.Sorted(maps.Keys(b.arms[name].scripts)) {
			visit(b.arms[name], path, b.arms[name].scripts[path])
		}
	}
}
