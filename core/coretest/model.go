package coretest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/flujo/flujo-harness/core"
)

// Opener opens the backend whose file or directory is at path, and creates it if it is missing.
type Opener func(ctx context.Context, path string) (core.Backend, error)

// Life says whether the data of a backend survives Close.
type Life bool

const (
	Volatile Life = false // no data survives
	Durable  Life = true  // all data survives, at the same path
)

// checks is the number of histories if the command line does not set one.
const checks = 25

// Model runs generated histories of operations on the backend and on a simple model of it. It
// compares every error, and the runs after every operation and every reopening. -rapid.checks sets
// the number of histories. A failure prints the shortest history found and the flags that reproduce
// it. Model also runs histories on backends with one defect each, and fails unless it detects every
// defect.
func Model(t *testing.T, open Opener, life Life) { run(t, ModelCases(open, life)) }

// ModelCases returns the parts of [Model].
func ModelCases(open Opener, life Life) []Case {
	cases := []Case{{"it agrees with a model", func(t testing.TB) {
		modestly(t)
		played := 0
		defer func() {
			t.Logf("%d operations, by hostile tenants among others: %d differences (-rapid.checks, -rapid.seed)", played, map[bool]int{true: 1}[t.Failed()])
		}()
		rapid.Check(t, func(rt *rapid.T) {
			ops := histories(bool(life)).Draw(rt, "history")
			played += len(ops)
			if err := play(filepath.Join(t.TempDir(), "runs"), open, ops); err != nil {
				rt.Fatal(err)
			}
		})
	}}}
	for _, d := range defects {
		if d.reopen && life != Durable {
			continue
		}
		cases = append(cases, Case{"control: a backend that " + d.what + " is detected", func(t testing.TB) {
			const most = 500
			shows := func(seed int, open Opener, path string) (operations int, err error) {
				ops := histories(d.reopen).Example(seed)
				return len(ops), play(path, d.spoil(open), ops)
			}
			seeds := make([]int, most)
			for i := range seeds {
				seeds[i] = i
			}
			// Most histories do not show the defect, and a database is slow. So the first history that
			// shows it in memory is run first.
			if !d.reopen {
				first := slices.IndexFunc(seeds, func(seed int) bool {
					_, err := shows(seed, inMemory, "")
					return err != nil
				})
				if first > 0 {
					seeds = slices.Insert(slices.Delete(seeds, first, first+1), 0, first)
				}
			}
			for i, seed := range seeds {
				if n, err := shows(seed, open, filepath.Join(t.TempDir(), "runs")); err != nil {
					t.Logf("found in run %d, by history %d of %d operations: %.200s", i+1, seed+1, n, err)
					return
				}
			}
			t.Errorf("%d histories did not show the defect", most)
		}})
	}
	return cases
}

func inMemory(context.Context, string) (core.Backend, error) { return core.NewMemory(), nil }

// modestly lowers the number of rapid's checks for one test, unless the command line sets it.
func modestly(t testing.TB) {
	f := flag.Lookup("rapid.checks")
	given := false
	flag.Visit(func(g *flag.Flag) { given = given || g.Name == f.Name })
	if given {
		return
	}
	before, n := f.Value.String(), checks
	if Brief() {
		n /= 4
	}
	// This sets the value directly, because after flag.Set the next test would see the flag as
	// given.
	check(t, "set the number of checks", f.Value.Set(fmt.Sprint(n)), nil)
	t.Cleanup(func() { check(t, "set the number of checks", f.Value.Set(before), nil) })
}

// game runs a history on a backend and on the model.
type game struct {
	path   string
	open   Opener
	b      core.Backend
	keys   []core.RunKey
	model  oracle
	leases [][2]core.Lease // all that were returned: by the model, and by the backend
}

// play runs a history and returns the first difference.
func play(path string, open Opener, ops []operation) (err error) {
	g := &game{path: path, open: open}
	if g.b, err = open(ctx, path); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.b.Close()) }()
	for _, o := range ops {
		if !slices.Contains(g.keys, o.Key) {
			g.keys = append(g.keys, o.Key)
		}
	}
	for i, o := range ops {
		err := g.do(o)
		if err == nil {
			err = g.compare(o.Key)
		}
		if err == nil && o.Do == opSignal {
			err = g.list(core.Filter{Now: o.moment(), Due: true}) // an answer can make a run due
		}
		if err != nil {
			return fmt.Errorf("operation %d, %v: %w", i+1, o, err)
		}
	}
	if err := g.compare(g.keys...); err != nil {
		return fmt.Errorf("after the last operation: %w", err)
	}
	return nil
}

// do calls both with one operation and compares the errors.
func (g *game) do(o operation) error {
	k := o.Key
	_, r := g.model.find(k)
	var run core.Snapshot
	if r != nil {
		run = *r
	}
	seq, answers := int64(len(run.Steps)+1+o.Skew), int64(len(run.Answers)+o.Skew)
	switch o.Do {
	case opStart:
		lease, err := g.b.Start(ctx, o.startRecord())
		want, wantErr := g.model.start(o.startRecord())
		return g.leased(want, lease, wantErr, err)
	case opClaim:
		epoch := run.Epoch + int64(o.Skew)
		if o.Any {
			epoch = 0
		}
		lease, snap, err := g.b.Claim(ctx, k, epoch)
		want, wantErr := g.model.claim(k, epoch, core.Holder{}, false)
		if err == nil && r != nil {
			if err := differ(*r, snap); err != nil {
				return fmt.Errorf("claimed snapshot %w", err)
			}
		}
		return g.leased(want, lease, wantErr, err)
	case opAcquire:
		known := run
		known.Epoch = max(1, known.Epoch+int64(o.Skew)) // 0 means any epoch
		if o.Any {
			known.Steps = nil // as if the run had been loaded before they were saved
		}
		known.Start.Key = k
		lease, snap, err := g.b.Acquire(ctx, known, o.holder())
		want, wantErr := g.model.claim(k, known.Epoch, o.holder(), true)
		if err == nil && r != nil {
			if err := differ(*r, snap); err != nil {
				return fmt.Errorf("acquired snapshot %w", err)
			}
		}
		return g.leased(want, lease, wantErr, err)
	case opRenew:
		lease := g.lease(o, k)
		lost, err := g.b.Renew(ctx, o.holder(), lease[1:])
		if want := g.model.renew(o.holder(), lease[0]); len(want) != len(lost) {
			return fmt.Errorf("a heartbeat lost %d leases, want %d", len(lost), len(want))
		}
		return err
	case opList:
		return g.list(o.filter())
	case opPrune:
		p, ok := g.b.(core.Pruner)
		if !ok {
			return nil
		}
		f := core.PruneFilter{Status: o.Status, Before: o.moment(), Limit: 99}
		n, more, err := p.Prune(ctx, f)
		if want := g.model.prune(f); n != want || more {
			return fmt.Errorf("%d runs were pruned, more %v; want %d, false", n, more, want)
		}
		return err
	case opStep, opFinish:
		if seq < 1 {
			return nil // no caller uses numbers below 1, and the contract defines no error for them
		}
		lease := g.lease(o, k)
		if o.Do == opStep {
			return agree(g.model.step(lease[0], o.stepRecord(seq)), g.b.Step(ctx, lease[1], o.stepRecord(seq)))
		}
		rec := o.finishRecord(seq, answers)
		return agree(g.model.finish(lease[0], rec), g.b.Finish(ctx, lease[1], rec))
	case opSignal:
		rec := core.AnswerRecord{Token: o.Token, Answer: fmt.Appendf(nil, "%q", o.Text), Time: o.moment()}
		return agree(g.model.signal(k, rec), g.b.Signal(ctx, k, rec))
	case opReopen:
		return g.reopen()
	}
	return nil // for a load there is nothing to do: compare loads the run
}

// list compares the runs that a filter selects, and their infos.
func (g *game) list(f core.Filter) error {
	l, ok := g.b.(core.Lister)
	if !ok {
		return nil
	}
	runs, err := l.List(ctx, f)
	if err != nil {
		return err
	}
	var keys []core.RunKey
	for _, got := range runs {
		keys = append(keys, got.Key)
		if _, r := g.model.find(got.Key); r != nil {
			want := r.Info()
			want.ID = got.ID
			if d := cmp.Diff(want, got); d != "" {
				return fmt.Errorf("run %.40q in a list (-want +got):\n%s", got.Key, d)
			}
		}
	}
	if want := g.model.list(f); !slices.Equal(want, keys) {
		return fmt.Errorf("%d runs are listed, %.200q; want %.200q", len(keys), keys, want)
	}
	return nil
}

// leased compares the outcomes of an operation that returns a lease, and stores the leases.
func (g *game) leased(want, got core.Lease, wantErr, err error) error {
	if err := agree(wantErr, err); err != nil {
		return err
	}
	if err == nil && got.Epoch != want.Epoch {
		return fmt.Errorf("a lease of epoch %d, want %d", got.Epoch, want.Epoch)
	}
	if err == nil {
		g.leases = append(g.leases, [2]core.Lease{want, got})
	}
	return nil
}

// lease selects a valid or an invalid lease of the run.
func (g *game) lease(o operation, k core.RunKey) [2]core.Lease {
	id, _ := g.model.find(k)
	var own [][2]core.Lease
	for _, l := range slices.Backward(g.leases) {
		if l[0].ID == id {
			own = append(own, l)
		}
	}
	if len(own) == 0 || o.Lease == -2 {
		none := core.Lease{ID: 1 << 30, Epoch: 1}
		return [2]core.Lease{none, none}
	}
	if o.Lease == -1 {
		next := own[0]
		next[0].Epoch++
		next[1].Epoch++
		next[1].Nonce++
		return next
	}
	return own[min(o.Lease, len(own)-1)]
}

func (g *game) reopen() error {
	if err := g.b.Close(); err != nil {
		return err
	}
	b, err := g.open(ctx, g.path)
	if err != nil {
		return err
	}
	g.b = b
	g.model.counts = core.Counts{}
	return g.compare(g.keys...)
}

// compare compares the given runs and the counts.
func (g *game) compare(all ...core.RunKey) error {
	for _, k := range all {
		_, r := g.model.find(k)
		got, err := g.b.Load(ctx, k)
		if r == nil {
			if err := agree(core.ErrRunNotFound, err); err != nil {
				return fmt.Errorf("load run %.40q: %w", k, err)
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := differ(*r, got); err != nil {
			return fmt.Errorf("run %.40q %w", k, err)
		}
	}
	if got := g.b.Counts(); got != g.model.counts {
		return fmt.Errorf("counts %+v, want %+v", got, g.model.counts)
	}
	return nil
}

// differ compares snapshots, except for the nonce, which is random. The slow comparison explains what the fast one
// finds.
func differ(want, got core.Snapshot) error {
	want.Nonce = got.Nonce
	if reflect.DeepEqual(want, got) {
		return nil
	}
	if d := cmp.Diff(want, got); d != "" {
		return fmt.Errorf("(-want +got):\n%s", d)
	}
	return nil // the times are equal but have different internal representations
}

// agree checks that both errors are of the same class.
func agree(want, got error) error {
	for _, class := range []error{core.ErrRunExists, core.ErrRunNotFound, core.ErrRunFinished, core.ErrFenced, core.ErrCorrupt,
		core.ErrNoPause, core.ErrAnswered, core.ErrSignalled, core.ErrClosed} {
		if errors.Is(got, class) && errors.Is(want, class) {
			return nil
		}
	}
	if want == nil && got == nil {
		return nil
	}
	return fmt.Errorf("error %v, want %v", got, want)
}
