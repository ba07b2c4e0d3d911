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
}

// Book holds one script for each step in each arm. It is safe for concurrent use
// once it is made.
type Book struct {
	arms map[string]*arm

	mu     sync.Mutex
	faults []error // what must not be swallowed
}

// arm is a scope: the scripts of its steps by path.
type arm struct {
	book    *Book
	load    Load
	scripts map[string]*script
}

type script struct {
	calls  int // worst case of one run
	have   int // outputs
	asked  atomic.Int64
	mutant int // outputs taken away by Remove
}

// Size makes the scripts for a pipeline under the given loads: in each arm every
// step gets (warm-ups + rounds x batch) x worst-case calls per run outputs.
func Size(p Plan, loads ...Load) (*Book, error) {
	b := &Book{arms: map[string]*arm{}}
	if len(loads) == 0 {
		return nil, errors.New("size scripts: no load: say how often each arm runs")
	}
	calls := p.MaxCalls()
	for _, l := range loads {
		if l.Arm == "" || l.Warmups < 0 || l.Rounds < 0 || l.Batch < 0 || l.Runs() == 0 {
			return nil, fmt.Errorf("size scripts: load %+v: an arm needs a name and at least one run", l)
		}
		if b.arms[l.Arm] != nil {
			return nil, fmt.Errorf("size scripts: arm %q is given twice", l.Arm)
		}
		a := &arm{book: b, load: l, scripts: map[string]*script{}}
		for _, path := range p.Paths() {
			a.scripts[path] = &script{calls: calls[path], have: l.Runs() * calls[path]}
		}
		b.arms[l.Arm] = a
	}
	return b, nil
}

type scopeKey struct{}

// In returns a context whose scripted agents read the scripts of the given arm.
func (b *Book) In(ctx context.Context, arm string) (context.Context, error) {
	a, ok := b.arms[arm]
	if !ok {
		return nil, fmt.Errorf("scripts: no arm %q: the book has %v", arm, slices.Sorted(maps.Keys(b.arms)))
	}
	return context.WithValue(ctx, scopeKey{}, a), nil
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

// next takes the number of the next output of a step, from 0.
func (a *arm) next(path string, limit int) (int, error) {
	s := a.scripts[path]
	if s == nil {
		return 0, a.book.fault(&UnscriptedError{Step: path, Problem: fmt.Sprintf("the book of arm %q has no script for it: size the book from the pipeline that is run", a.load.Arm)})
	}
	n := int(s.asked.Add(1))
	switch {
	case limit >= 0 && n > limit && limit < s.have:
		return 0, a.book.fault(&ExhaustedError{Step: path, Scope: a.load.Arm, Have: limit, Asked: n,
			Formula: fmt.Sprintf("%d outputs written out by hand", limit)})
	case n > s.have:
		return 0, a.book.fault(&ExhaustedError{Step: path, Scope: a.load.Arm, Have: s.have, Asked: n, Formula: s.formula(a.load)})
	}
	return n - 1, nil
}

// formula is how the script was sized, with its numbers.
func (s *script) formula(l Load) string {
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

// Verify reports, joined, every script that ran dry, also where the error was
// swallowed, and every script that was read less than its runs must have read it
// (once a run; the rest is the reserve for retries).
func (b *Book) Verify() error {
	b.mu.Lock()
	errs := slices.Clone(b.faults)
	b.mu.Unlock()
	b.each(func(a *arm, path string, s *script) {
		if asked, least := int(s.asked.Load()), a.load.Runs(); asked < least {
			errs = append(errs, &LeftoverError{Step: path, Scope: a.load.Arm, Asked: asked, Least: least, Formula: s.formula(a.load)})
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
		fmt.Fprintf(&out, "%s %s: %s\n", a.load.Arm, path, s.formula(a.load))
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
