package coretest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/flujo/flujo-harness/core"
)

var (
	rounds = flag.Int("coretest.rounds", 0, "coretest: further kills of the crash matrix, at random commits; further rounds of Fencing and of each contest of Rivals")
	seed   = flag.Uint64("coretest.seed", 1, "coretest: seed of -coretest.rounds")
)

// repeat returns the command that repeats a test, for the directory of its package.
func repeat(t testing.TB) string {
	name := strings.ReplaceAll(regexp.QuoteMeta(t.Name()), "/", "$/^")
	return fmt.Sprintf("go test -run '^%s$' -v -count=1 -coretest.rounds=%d -coretest.seed=%d", name, *rounds, *seed)
}

// Recovery runs a pipeline that uses every combinator in a child process that kills itself with
// SIGKILL before, or in another run after, each commit. The run is then continued, in some cases in
// a child that is killed as well, until it is completed. Its scope and records must equal those of
// a run without kills, acknowledged saves must be present, no step whose record was saved may have
// been called again, and the dead process must not be able to save any more. If [Brief], it tests
// every fourth commit. -coretest.rounds adds that many kills or a few more, in runs that are killed
// up to four times.
func Recovery(t *testing.T, open Opener) {
	run(t, RecoveryCases("", open, func(i int) bool { return !Brief() || i%4 == 0 }))
}

// RecoveryCases returns the parts of [Recovery], for the moments, counted from 0, that take
// accepts. name distinguishes several backends of one program: [Serve] must be called with it
// before any test runs.
func RecoveryCases(name string, open Opener, take func(moment int) bool) []Case {
	cases := []Case{{"a run that is killed at any commit ends like one without a kill", func(t testing.TB) {
		commits, want, err := unharmed(filepath.Join(t.TempDir(), "runs"), open)
		check(t, "run the pipeline unharmed", err, nil)
		kinds := map[string]int{ackStart: 0, ackClaim: 0, ackStep: 0, ackFinish: 0, ackSignal: 0}
		for _, a := range want.acks {
			kinds[a.fields[0]]++
		}
		for kind, n := range kinds {
			if n == 0 {
				t.Errorf("the commits include no %s, so no process is killed at one", kind)
			}
		}
		var all []kill
		for n := 1; n <= commits; n++ {
			all = append(all, kill{n, false}, kill{n, true})
		}
		var plans [][]kill
		for i, k := range all {
			if take(i) {
				plans = append(plans, []kill{k})
			}
			if i%8 == 3 && take(i/8) { // a sample with a second kill soon after the first
				plans = append(plans, []kill{k, all[2+i%5]})
			}
		}
		v, kills, errs := matrix(t, name, plans, want, open, open)
		runs, rng := len(plans), rand.New(rand.NewPCG(*seed, 0))
		for left := *rounds; left > 0 && len(errs) == 0; {
			plans := atRandom(rng, all, left)
			more, made, found := matrix(t, name, plans, want, open, open)
			v.add(more)
			runs, kills, left, errs = runs+len(plans), kills+made, left-made, append(errs, found...)
		}
		for _, err := range errs {
			t.Errorf("%v\n%s", err, repeat(t))
		}
		t.Logf("%d commits (%v), %d runs with %d kills (-coretest.rounds %d -coretest.seed %d): %d lost, %d doubled, %d called again; %d calls repeated that were running at a kill",
			commits, kinds, runs, kills, *rounds, *seed, v.lost, v.doubled, v.repeated, v.underWay)
	}}}
	for _, control := range []struct {
		what  string
		spoil func(core.Backend) core.Backend
		want  []error
	}{
		{"forgets the last record", forget, []error{errDoubled, errRepeated}},
		{"does not fence", unfence, []error{errGhost}},
	} {
		cases = append(cases, Case{"control: a backend that " + control.what + " is detected", func(t testing.TB) {
			_, want, err := unharmed(filepath.Join(t.TempDir(), "runs"), open)
			check(t, "run the pipeline unharmed", err, nil)
			// These are the kills after the records of gather and sort. Later records may come in
			// another order, and pauses have no call that could be repeated.
			plans := [][]kill{{{3, true}}, {{4, true}}}
			v, _, errs := matrix(t, name, plans, want, open, wrapped(control.spoil)(open))
			for _, want := range control.want {
				if !errors.Is(errors.Join(errs...), want) {
					t.Errorf("the check did not find %q, but: %v", want, errs)
				}
			}
			t.Logf("found: %d lost, %d doubled, %d called again, %d faults in total", v.lost, v.doubled, v.repeated, len(errs))
		}})
	}
	return cases
}

// atRandom plans runs with the given number of kills or a few more. The first kill of a run is at
// any moment, the others come soon after it is continued.
func atRandom(rng *rand.Rand, all []kill, kills int) (plans [][]kill) {
	for planned := 0; planned < kills; {
		plan := []kill{all[rng.IntN(len(all))]}
		for rng.IntN(3) > 0 && len(plan) < 4 {
			plan = append(plan, all[rng.IntN(12)])
		}
		plans, planned = append(plans, plan), planned+len(plan)
	}
	return plans
}

// unharmed runs the pipeline without a kill.
func unharmed(path string, open Opener) (commits int, e evidence, err error) {
	b, err := open(ctx, path)
	if err != nil {
		return 0, e, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	world := effects{path, 1}
	m := world.mortal(b, kill{})
	if err := e.finish(m, world, false); err != nil {
		return 0, e, err
	}
	if v := judge(e, e); len(v.errs) > 0 {
		return 0, e, fmt.Errorf("the run without a kill has defects: %w", errors.Join(v.errs...))
	}
	return m.commits, e, nil
}

// finish takes the run to its end and collects the evidence, even if the end was not reached.
func (e *evidence) finish(b core.Backend, world effects, eager bool) error {
	var errs [4]error
	e.result, errs[0] = world.drive(b, eager)
	e.final, errs[1] = b.Load(ctx, key)
	e.acks, errs[2] = lines(world.path + ".acknowledged")
	e.effects, errs[3] = lines(world.path + ".effects")
	return errors.Join(errs[:]...)
}

// matrix carries out the plans in parallel, one per processor. Children and the checks between them
// use open. The check after the last kill and the last round use spoiled.
func matrix(t testing.TB, name string, plans [][]kill, want evidence, open, spoiled Opener) (sum verdict, kills int, errs []error) {
	dir := t.TempDir()
	next := make(chan int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				e, err := harm(name, filepath.Join(dir, fmt.Sprint("runs", i)), plans[i], open, spoiled)
				v := judge(want, e)
				if err != nil {
					v.errs = append([]error{err}, v.errs...)
				}
				mu.Lock()
				kills += len(e.behind)
				sum.add(v)
				for _, err := range v.errs {
					errs = append(errs, fmt.Errorf("killed %v: %w", plans[i], err))
				}
				mu.Unlock()
			}
		})
	}
	for i := range plans {
		next <- i
	}
	close(next)
	wg.Wait()
	return sum, kills, errs
}

// harm runs a child for each kill, one after the other, and then takes the run to its end in this
// process.
func harm(name, path string, plan []kill, open, spoiled Opener) (e evidence, err error) {
	killed := false
	for i, k := range plan {
		if i > 0 {
			s, err := behind(path, open)
			if err != nil {
				return e, fmt.Errorf("after kill %d: %w", i, err)
			}
			e.behind = append(e.behind, s)
		}
		killed, err = children.Spawn(job{Backend: name, Path: path, Round: i + 1, Kill: k})
		if err != nil {
			return e, err
		}
		if !killed {
			if i == 0 {
				return e, fmt.Errorf("the run ended before it was killed %v", k)
			}
			break // later rounds may have fewer commits left than planned
		}
	}
	acks, err := lines(path + ".acknowledged")
	if err != nil {
		return e, err
	}
	b, err := spoiled(ctx, path)
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if killed { // by the backend that goes on: to open a database takes longer than to read it
		s, err := found(b)
		if err != nil {
			return e, fmt.Errorf("after kill %d: %w", len(plan), err)
		}
		e.behind = append(e.behind, s)
	}
	h := &haunted{Backend: b, dead: lastLease(acks)}
	err = e.finish(h, effects{path, len(plan) + 1}, plan[0].Commit%2 == 0)
	return e, errors.Join(append(h.accepted, err)...)
}

// behind returns the run as a new process finds it, or a zero snapshot if there is none.
func behind(path string, open Opener) (s core.Snapshot, err error) {
	b, err := open(ctx, path)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return found(b)
}

// found returns the run that a backend has, or a zero snapshot if there is none.
func found(b core.Backend) (core.Snapshot, error) {
	s, err := b.Load(ctx, key)
	if errors.Is(err, core.ErrRunNotFound) {
		err = nil
	}
	return s, err
}

// lastLease returns the last lease of the process that died last.
func lastLease(acks []line) (l core.Lease) {
	for _, a := range acks {
		if a.fields[0] == ackStart || a.fields[0] == ackClaim {
			fmt.Sscan(a.fields[1], &l.ID)
			fmt.Sscan(a.fields[2], &l.Epoch)
			fmt.Sscan(a.fields[3], &l.Nonce)
		}
	}
	return l
}

// haunted makes the dead process save once more after each claim, as if its last writes had been
// delayed.
type haunted struct {
	core.Backend
	dead     core.Lease
	accepted []error // saves that should have been refused
}

func (h *haunted) Claim(ctx context.Context, k core.RunKey, epoch int64) (core.Lease, core.Snapshot, error) {
	l, s, err := h.Backend.Claim(ctx, k, epoch)
	h.haunt(ctx, s, err)
	return l, s, err
}

func (h *haunted) Acquire(ctx context.Context, known core.Snapshot, holder core.Holder) (core.Lease, core.Snapshot, error) {
	l, s, err := h.Backend.Acquire(ctx, known, holder)
	h.haunt(ctx, s, err)
	return l, s, err
}

// haunt saves with the lease of the dead process.
func (h *haunted) haunt(ctx context.Context, s core.Snapshot, claimErr error) {
	if claimErr != nil || h.dead == (core.Lease{}) {
		return
	}
	rec := stepOf(int64(len(s.Steps) + 1))
	for what, err := range map[string]error{
		"step":   h.Backend.Step(ctx, h.dead, rec),
		"finish": h.Backend.Finish(ctx, h.dead, core.FinishRecord{Status: core.Stopped, Time: at(9)}),
	} {
		if !errors.Is(err, core.ErrFenced) {
			h.accepted = append(h.accepted, fmt.Errorf("%w: its %s: error %v", errGhost, what, err))
		}
	}
}
