package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"sync"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/internal/probe"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// saga holds the saves of one run in order, with the snapshot that must be loaded after each of
// them. The memory backend provides the snapshots.
type saga struct {
	key   core.RunKey
	saves []func(b core.Backend, lease core.Lease) (core.Lease, error)
	after []core.Snapshot // after[i] is the run after i+1 saves
}

// newSaga returns the saves of a run with the given number of steps: a start, records with and
// without a state, a pause with its answer and a claim, and the end with a scope. fill is the size
// of outputs in bytes.
func newSaga(name string, steps, fill int) (*saga, error) {
	s := &saga{key: core.RunKey{Tenant: "t", Run: name}}
	add := func(f func(b core.Backend, l core.Lease) (core.Lease, error)) { s.saves = append(s.saves, f) }
	keep := func(f func(b core.Backend, l core.Lease) error) {
		add(func(b core.Backend, l core.Lease) (core.Lease, error) { return l, f(b, l) })
	}
	ctx := context.Background()
	add(func(b core.Backend, _ core.Lease) (core.Lease, error) {
		return b.Start(ctx, core.StartRecord{Key: s.key, Pipeline: "p", Plan: 1<<63 + 7, State: []byte(`{"n":0}`), Time: fixed(0)})
	})
	seq := int64(0)
	step := func(status core.Status, token string) {
		seq++
		rec := core.StepRecord{Seq: seq, Path: fmt.Sprint("s", seq), Status: status, Attempts: 1, Token: token,
			Usage: core.Usage{Calls: 1, Tokens: seq}, Output: bytes.Repeat([]byte(name), fill/len(name)+1), Started: fixed(int(seq)), Ended: fixed(int(seq))}
		if seq%2 == 0 {
			rec.State = fmt.Appendf(nil, `{"n":%d}`, seq)
		}
		keep(func(b core.Backend, l core.Lease) error { return b.Step(ctx, l, rec) })
	}
	for range steps / 2 {
		step(core.Completed, "")
	}
	step(core.Paused, "token")
	keep(func(b core.Backend, l core.Lease) error {
		return b.Finish(ctx, l, core.FinishRecord{Status: core.Paused, Exits: []byte(`{"loop":1}`), Time: fixed(50)})
	})
	keep(func(b core.Backend, _ core.Lease) error {
		return b.Signal(ctx, s.key, core.AnswerRecord{Token: "token", Answer: []byte(`"yes"`), Time: fixed(51)})
	})
	add(func(b core.Backend, _ core.Lease) (core.Lease, error) {
		l, _, err := b.Claim(ctx, s.key, 0)
		return l, err
	})
	for range steps - steps/2 {
		step(core.Completed, "")
	}
	keep(func(b core.Backend, l core.Lease) error {
		return b.Finish(ctx, l, core.FinishRecord{Status: core.Completed, State: []byte(`{"end":true}`), Seq: seq + 1, Time: fixed(99)})
	})

	m := core.NewMemory()
	var lease core.Lease
	for _, save := range s.saves {
		var err error
		if lease, err = save(m, lease); err != nil {
			return nil, err
		}
		snap, err := m.Load(ctx, s.key)
		if err != nil {
			return nil, err
		}
		s.after = append(s.after, snap)
	}
	return s, nil
}

// found returns how many of the saves are in the backend. It returns an error if the run is in a
// state that it never had.
func (s *saga) found(b core.Backend) (int, error) {
	got, err := b.Load(context.Background(), s.key)
	if errors.Is(err, core.ErrRunNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	got.Nonce = 0 // it is random
	for i := range s.after {
		if reflect.DeepEqual(s.after[i], got) {
			return i + 1, nil
		}
	}
	return 0, fmt.Errorf("run %s is in a state that it never had: %v with %d records", s.key, got.Status, len(got.Steps))
}

// troupe is a set of runs that are saved concurrently.
type troupe struct {
	sagas  []*saga
	done   []int // number of acknowledged saves, by saga
	leases []core.Lease
}

func castOf(runs, steps, fill int) (*troupe, error) {
	p := &troupe{done: make([]int, runs), leases: make([]core.Lease, runs)}
	for i := range runs {
		s, err := newSaga(fmt.Sprint("run", i), steps, fill*(1+i%3))
		if err != nil {
			return nil, err
		}
		p.sagas = append(p.sagas, s)
	}
	return p, nil
}

// meet reads how many saves of each run are in a database, and continues after them.
func (p *troupe) meet(b *Backend) error {
	for i, s := range p.sagas {
		var err error
		if p.done[i], err = s.found(b); err != nil {
			return err
		}
		if p.done[i] > 0 {
			run, err := b.load(context.Background(), s.key)
			if err != nil {
				return err
			}
			p.leases[i] = core.Lease{ID: run.id, Epoch: run.Epoch, Nonce: run.nonce}
		}
	}
	return nil
}

// meetAt is like meet for a database that is not open. It does not change its log.
func (p *troupe) meetAt(ctx context.Context, path string) error {
	at := filepath.Dir(path) + "-look"
	defer os.RemoveAll(at)
	if err := os.CopyFS(at, os.DirFS(filepath.Dir(path))); err != nil {
		return err
	}
	b, err := open(ctx, filepath.Join(at, filepath.Base(path)), sqlitedb.Unsynced, probe.Probe{})
	if err != nil {
		return err
	}
	return errors.Join(p.meet(b), b.Discard())
}

// made creates an empty database.
func made(ctx context.Context, path string) error {
	b, err := open(ctx, path, sqlitedb.Unsynced, probe.Probe{})
	if err != nil {
		return err
	}
	return b.Close()
}

// open returns the runs that have not ended.
func (p *troupe) open() (all []int) {
	for i, s := range p.sagas {
		if p.done[i] < len(s.saves) {
			all = append(all, i)
		}
	}
	return all
}

// save makes the next save of one run.
func (p *troupe) save(b core.Backend, i int) error {
	lease, err := p.sagas[i].saves[p.done[i]](b, p.leases[i])
	if err != nil {
		return fmt.Errorf("save %d of %s: %w", p.done[i]+1, p.sagas[i].key, err)
	}
	p.leases[i] = lease
	p.done[i]++
	return nil
}

// together makes the next save of each of the runs in one transaction, always in the same order.
func (p *troupe) together(b *Backend, runs []int) error {
	if len(runs) == 1 {
		return p.save(b, runs[0])
	}
	errs := make([]error, len(runs))
	var wg sync.WaitGroup
	held(b, len(runs), func() {
		for n, i := range runs {
			wg.Go(func() { errs[n] = p.save(b, i) })
			for queued := false; !queued; runtime.Gosched() {
				b.mu.Lock()
				queued = len(b.queue) > n
				b.mu.Unlock()
			}
		}
	})
	wg.Wait()
	return errors.Join(errs...)
}

// saveRuns starts runs whose names are numbers.
func saveRuns(b *Backend, from, to int) error {
	for n := from; n < to; n++ {
		if _, err := b.Start(context.Background(), started(fmt.Sprint(n))); err != nil {
			return err
		}
	}
	return nil
}
