package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// A run of the fleet has two concurrent items of two steps each, and a step after them.
const (
	fleetRuns  = 30
	fleetCalls = fleetRuns * (2*2 + 1)
)

// fleetPlan returns a pipeline whose agents write each call to the file calls. From call number
// stuck on they do not return; 0 means never.
func fleetPlan(calls *os.File, stuck int64) (*core.Pipeline[note], error) {
	var n atomic.Int64
	agent := core.Func[int, int](func(_ context.Context, r core.Request[int]) (int, error) {
		_, err := fmt.Fprintln(calls, r.Key())
		if stuck > 0 && n.Add(1) >= stuck {
			fmt.Println("stuck")
			select {}
		}
		return r.Input + 1, err
	})
	step := func(name string) *core.Node[note] {
		return core.Step(name, agent, func(n note) int { return n.N }, func(n *note, out int) { n.N = out })
	}
	return core.New("fleet",
		core.Map("items", 2, func(n note) []note { return []note{n, n} }, core.Then("item", step("a"), step("b")),
			func(n *note, items []core.Ended[note]) error {
				for _, i := range items {
					n.N += i.Scope.N
				}
				return nil
			}, core.AtOnce(2)),
		step("last"))
}

// fleetWorker is the body of the child of [TestProcessesShareRuns]. It executes runs that no
// process executes. mode holds its lease and the call in which it gets stuck.
func fleetWorker(path, mode string) error {
	lease, stuck, _ := strings.Cut(mode, " ")
	n, err := strconv.ParseInt(stuck, 10, 64)
	if err != nil {
		return err
	}
	calls, err := os.OpenFile(path+".calls", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	p, err := fleetPlan(calls, n)
	if err != nil {
		return err
	}
	term, err := time.ParseDuration(lease)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	b, err := Open(ctx, path, sqlitedb.Process)
	if err != nil {
		return err
	}
	go func() {
		pause() // until the parent has seen the end of all runs, or has ended
		stop()
	}()
	err = core.ResumeAll(ctx, core.NewEngine(core.WithBackend(b), core.WithLease(term)), p, func(key core.RunKey, _ core.Result[note], err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "run", key, err)
		}
	})
	if !errors.Is(err, context.Canceled) {
		return err
	}
	return errors.Join(b.Close(), calls.Close())
}

// Processes that use one file share the runs that were started there. If none is killed, each call
// is made once. If one is killed, the others continue its runs, and only the calls that were
// running are repeated.
func TestProcessesShareRuns(t *testing.T) {
	if path := os.Getenv(childPath); path != "" {
		if err := fleetWorker(path, os.Getenv(childMode)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	for _, kills := range []bool{false, true} {
		t.Run(fmt.Sprint("kills=", kills), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "r.db")
			calls, err := os.Create(path + ".calls")
			if err != nil {
				t.Fatal(err)
			}
			defer calls.Close()
			p, err := fleetPlan(calls, 0)
			if err != nil {
				t.Fatal(err)
			}
			b := mustOpen(t, path, sqlitedb.Process)
			for i := range fleetRuns {
				if err := core.Begin(t.Context(), core.NewEngine(core.WithBackend(b)), p, core.RunKey{Run: strconv.Itoa(i)}, note{}); err != nil {
					t.Fatal(err)
				}
			}
			// Only the test with a killed process uses a short lease, because a slow process can
			// lose runs by it.
			lease := "30s"
			if kills {
				lease = "2s"
			}
			if kills {
				doomed := startChild(t, "TestProcessesShareRuns", path, lease+" 40")
				doomed.says() // it has completed some runs and is in the middle of others
				doomed.kill()
			}
			workers := []*child{startChild(t, "TestProcessesShareRuns", path, lease+" 0"), startChild(t, "TestProcessesShareRuns", path, lease+" 0")}
			const patience = 5 * time.Minute
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for open := fleetRuns; open > 0; time.Sleep(time.Millisecond) {
				done, err := b.List(ctx, core.Filter{Status: core.Completed, Now: time.Now(), Limit: 2 * fleetRuns})
				if ctx.Err() != nil {
					t.Fatalf("%d of %d runs have not completed after %v", open, fleetRuns, patience)
				}
				if err != nil {
					t.Fatal(err)
				}
				open = fleetRuns - len(done)
			}
			for _, w := range workers {
				w.goOn()
				if err := w.cmd.Wait(); err != nil {
					t.Error(err)
				}
			}
			text, err := os.ReadFile(path + ".calls")
			if err != nil {
				t.Fatal(err)
			}
			made := strings.Fields(string(text))
			slices.Sort(made)
			if all := len(made); all != fleetCalls && !kills {
				t.Errorf("%d calls, want %d", all, fleetCalls)
			}
			if once := len(slices.Compact(made)); once != fleetCalls {
				t.Errorf("%d different calls, want %d", once, fleetCalls)
			}
			for i := range fleetRuns {
				snap, err := b.Load(t.Context(), core.RunKey{Run: strconv.Itoa(i)})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := core.Replay(t.Context(), p, snap); err != nil || len(snap.Steps) != 5 {
					t.Errorf("run %d: %d steps, %v", i, len(snap.Steps), err)
				}
			}
		})
	}
}
