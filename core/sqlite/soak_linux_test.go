package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

const (
	soakers = 64 // concurrent runs
	soakRow = 64 // number of runs between two readings
	soakLog = 16 * walBytes
)

// reading is what a process reports about itself.
type reading struct {
	Runs int64         // finished since its start
	RSS  int64         // bytes
	Heap int64         // bytes in use after a garbage collection
	Log  int64         // bytes of the write-ahead log
	P50  time.Duration // duration of a save since the previous reading
	P99  time.Duration
	Max  time.Duration
}

// reading returns the durations since the previous reading and the state of the process.
func (s *stopwatch) reading(path string, runs int64) (r reading, err error) {
	s.mu.Lock()
	took := s.took
	s.took = nil
	s.mu.Unlock()
	slices.Sort(took)
	r.Runs = runs
	if n := len(took); n > 0 {
		r.P50, r.P99, r.Max = took[n/2], took[n*99/100], took[n-1]
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.Heap = int64(m.HeapInuse)
	if fi, err := os.Stat(path + "-wal"); err == nil {
		r.Log = fi.Size()
	}
	text, err := os.ReadFile("/proc/self/status")
	if _, after, ok := strings.Cut(string(text), "VmRSS:"); ok {
		_, err = fmt.Sscan(after, &r.RSS)
		r.RSS <<= 10
	}
	return r, err
}

// soak is the body of the child: it saves until it is stopped or killed. Each worker first resumes
// its last run.
func soak(path string) error {
	ctx := context.Background()
	b, err := Open(ctx, path, sqlitedb.Process)
	if err != nil {
		return err
	}
	work := core.Func[string, string](func(_ context.Context, r core.Request[string]) (string, error) {
		return r.Path + strings.Repeat("x", 1000), nil
	})
	type scope struct{ Text string }
	step := func(name string) *core.Node[scope] {
		return core.Step(name, work, func(s scope) string { return s.Text }, func(s *scope, out string) { s.Text = out })
	}
	p, err := core.New("soak", step("a"), step("b"), core.Loop("l", 3, nil, step("c"), core.MaxIsSuccess()), step("d"))
	if err != nil {
		return err
	}
	watch := &stopwatch{Backend: b}
	e := core.NewEngine(core.WithBackend(watch))
	var runs atomic.Int64
	var stop atomic.Bool
	var wg sync.WaitGroup
	errs := make([]error, soakers+1) // read when all have ended
	worker := func(w int, work func() error) {
		wg.Go(func() {
			if errs[w] = work(); errs[w] != nil {
				stop.Store(true)
			}
		})
	}
	for w := range soakers {
		worker(w, func() error { return soaker(ctx, e, p, b, path, w, &runs, &stop) })
	}
	worker(soakers, func() error { // a reader, which delays the restart of the log
		for n := 0; !stop.Load(); n++ {
			_, err := b.Load(ctx, core.RunKey{Run: fmt.Sprintf("%d-%d", n%soakers, n/soakers%8)})
			if err != nil && !errors.Is(err, core.ErrRunNotFound) {
				return err
			}
		}
		return nil
	})
	go func() { pause(); stop.Store(true) }()
	for next := int64(soakRow); !stop.Load(); runtime.Gosched() {
		if n := runs.Load(); n >= next {
			r, err := watch.reading(path, n)
			if err != nil {
				return err
			}
			text, err := json.Marshal(r)
			if err != nil {
				return err
			}
			fmt.Println(string(text))
			next = n + soakRow
		}
		time.Sleep(time.Millisecond) // reduces the load of polling; correctness does not depend on it
	}
	wg.Wait()
	return errors.Join(append(errs, b.Close())...)
}

// soaker is one worker. Its runs are numbered. The previous process has finished all runs before
// the one that it was killed in.
func soaker[S any](ctx context.Context, e *core.Engine, p *core.Pipeline[S], b *Backend, path string, w int, runs *atomic.Int64, stop *atomic.Bool) error {
	key := func(i int) core.RunKey { return core.RunKey{Run: fmt.Sprintf("%d-%d", w, i)} }
	status := func(i int) (core.Status, error) {
		snap, err := b.Load(ctx, key(i))
		if errors.Is(err, core.ErrRunNotFound) {
			return 0, nil
		}
		return snap.Status, err
	}
	var loadErr error
	first := sort.Search(1<<30, func(i int) bool {
		s, err := status(i)
		loadErr = errors.Join(loadErr, err)
		return s != core.Completed
	})
	for i := first; !stop.Load(); i++ {
		s, err := status(i)
		if err := errors.Join(loadErr, err); err != nil {
			return err
		}
		var scope S
		if s == core.Running {
			_, err = core.Resume(ctx, e, p, key(i))
		} else {
			_, err = core.Run(ctx, e, p, key(i), scope)
		}
		if err == nil {
			err = acknowledge(path, []int{w})
		}
		if err != nil {
			return fmt.Errorf("run %s: %w", key(i), err)
		}
		runs.Add(1)
	}
	return nil
}

// 64 concurrent runs, for the duration in -proof.for, in processes that are repeatedly killed.
// Memory and log must stay within limits, and no run that was reported as finished may be lost.
func TestSoak(t *testing.T) {
	if path := os.Getenv(childPath); path != "" {
		fmt.Println("ended", soak(path))
		os.Exit(0)
	}
	path := filepath.Join(t.TempDir(), "r.db")
	began, rng := time.Now(), chance(0)
	var all []reading
	lives, lost := 0, 0
	for last := false; !last; {
		lives++
		last = *proofFor > 0 && time.Since(began) > *proofFor || *proofFor == 0 && lives == 3
		c := startChild(t, "TestSoak", path, "")
		rest := 1 + rng.IntN(2)
		if *proofFor > 0 {
			rest = 10 + rng.IntN(40)
		}
		for range rest {
			said := c.says()
			var r reading
			if err := json.Unmarshal([]byte(said), &r); err != nil {
				t.Fatalf("the child printed %q", said)
			}
			all = append(all, r)
		}
		if last {
			c.goOn()
			for said := ""; said != "ended <nil>"; {
				if said = c.says(); strings.HasPrefix(said, "ended ") && said != "ended <nil>" {
					t.Fatal(said)
				}
			}
			if err := c.cmd.Wait(); err != nil { // for example because of the race detector
				t.Errorf("the last life ended with %v", err)
			}
		}
		c.kill()
		text, err := os.ReadFile(path + ".acknowledged")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		found, err := countRows(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if missing := int64(strings.Count(string(text), "\n")) - found.Finished; missing > 0 {
			lost += int(missing)
			t.Errorf("%d finished runs are lost after life %d", missing, lives)
		}
	}
	largest := func(of func(reading) int64, from []reading) (most int64) {
		for _, r := range from {
			most = max(most, of(r))
		}
		return most
	}
	log := largest(func(r reading) int64 { return r.Log }, all)
	if log > soakLog {
		t.Errorf("the log grew to %d bytes, at most %d", log, soakLog)
	}
	heap := func(r reading) int64 { return r.Heap }
	third := all[:max(1, len(all)/3)]
	early, late := largest(heap, third), largest(heap, all[len(all)-len(third):])
	if late > 2*early+16<<20 {
		t.Errorf("the heap grew from %d to %d bytes", early, late)
	}
	var p50, p99 []time.Duration
	for _, r := range all {
		p50, p99 = append(p50, r.P50), append(p99, r.P99)
	}
	slices.Sort(p50)
	slices.Sort(p99)
	found, err := countRows(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d concurrent runs, %v, %d lives of which %d were killed: %d runs finished, %d records, %d lost (-proof.for=%v -proof.seed=%d)",
		soakers, time.Since(began).Round(time.Second), lives, lives-1, found.Finished, found.Records, lost, *proofFor, *proofSeed)
	t.Logf("heap %d KiB at most in the first third, %d in the last; resident %d KiB; log %d KiB; a save took %v, p99 %v (medians of %d readings), %v at most",
		early>>10, late>>10, largest(func(r reading) int64 { return r.RSS }, all)>>10, log>>10, p50[len(p50)/2], p99[len(p99)/2], len(all), time.Duration(largest(func(r reading) int64 { return int64(r.Max) }, all)))
}

// rowCounts counts the contents of a database.
type rowCounts struct{ Finished, Records int64 }

// countRows counts over a new connection.
func countRows(ctx context.Context, path string) (c rowCounts, err error) {
	r, err := OpenReader(ctx, path)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	err = r.db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM runs WHERE status != 1), (SELECT count(*) FROM steps)`).Scan(&c.Finished, &c.Records)
	return c, err
}
