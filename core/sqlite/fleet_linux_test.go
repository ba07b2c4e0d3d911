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

// A run of the fleet: two items of two steps each, at once, and a step behind them.
const (
	fleetRuns  = 30
	fleetCalls = fleetRuns * (2*2 + 1)
)

// fleetPlan is a pipeline whose agents write each call to the file calls. From the call
// number stuck on they do not return; 0 is never.
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

// fleetWorker is the child of [TestProcessesShareRuns]: it executes what nobody executes.
// mode is its lease and the call that it gets stuck in.
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
		pause() // until the parent has seen the end of all runs, or is gone
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

// Processes on one file share the runs that were begun there: while all of them are
// alive each call is made once. When one is killed the others take its runs up, and
// only what was under way is called again.
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
			// A short lease is only for the runs of the dead: a process that is alive may lose a run by it too.
			lease := "30s"
			if kills {
				lease = "2s"
			}
			if kills {
				doomed := startChild(t, "TestProcessesShareRuns", path, lease+" 40")
				doomed.says() // it has some runs to the end and some in the middle
				doomed.kill()
			}
			workers := []*child{startChild(t, "TestProcessesShareRuns", path, lease+" 0"), startChild(t, "TestProcessesShareRuns", path, lease+" 0")}
			for open := fleetRuns; open > 0; {
				done, err := b.List(t.Context(), core.Filter{Status: core.Completed, Now: time.Now(), Limit: 2 * fleetRuns})
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
