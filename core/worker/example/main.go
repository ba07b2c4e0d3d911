//go:build unix

// Example starts a PostgreSQL server, two workers and a load, kills one of the workers, and prints
// what happened. It needs the programs of Debian's package postgresql, but no running server. In
// the directory core/worker:
//
//	go run ./example
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/postgres"
	"github.com/flujo/flujo-harness/core/postgres/pgserver"
	"github.com/flujo/flujo-harness/core/worker"
)

// Environment variables that make this program run as a worker.
const (
	asWorker = "EXAMPLE_WORKER" // name of the worker
	database = "EXAMPLE_DATABASE"
)

// Order is the scope of a run.
type Order struct{ Text, Draft, Review, Final string }

// pipeline writes a text in three steps, each about as slow as a fast model call.
func pipeline() (*core.Pipeline[Order], error) {
	step := func(name string, in func(Order) string, out func(*Order, string)) *core.Node[Order] {
		agent := core.Func[string, string](func(ctx context.Context, r core.Request[string]) (string, error) {
			select {
			case <-time.After(300 * time.Millisecond):
				return name + " of " + r.Input, nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		})
		return core.Step(name, agent, in, out)
	}
	return core.New("order",
		step("draft", func(o Order) string { return o.Text }, func(o *Order, s string) { o.Draft = s }),
		step("review", func(o Order) string { return o.Draft }, func(o *Order, s string) { o.Review = s }),
		step("final", func(o Order) string { return o.Review }, func(o *Order, s string) { o.Final = s }))
}

// work runs a worker process.
func work(ctx context.Context, name, dsn string) error {
	p, err := pipeline()
	if err != nil {
		return err
	}
	w, err := worker.New(ctx, worker.Config{DSN: dsn, Durability: postgres.Power, Name: name, Concurrency: 20})
	if err != nil {
		return err
	}
	fmt.Println(name, "is ready")
	return errors.Join(worker.Handle(w, p), w.Run(ctx), w.Close())
}

// outcome is the result of the load.
type outcome struct {
	completed, records, doubled int
	taken                       int            // runs that another worker continued
	by                          map[string]int // number of runs that each worker completed
}

// demonstrate runs the example with the given number of runs.
func demonstrate(ctx context.Context, out io.Writer, runs int) (o outcome, err error) {
	p, err := pipeline()
	if err != nil {
		return o, err
	}
	server, err := pgserver.Start(pgserver.Options{})
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	dsn := server.DSN("postgres")
	fmt.Fprintln(out, "started PostgreSQL, with its socket in", server.Dir())
	w, err := worker.New(ctx, worker.Config{DSN: dsn, Durability: postgres.Power})
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := worker.Migrate(ctx, w.Pool()); err != nil {
		return o, err
	}
	var hired []*exec.Cmd
	defer func() {
		for _, cmd := range hired {
			_ = cmd.Process.Kill() // all runs have ended
			_ = cmd.Wait()
		}
	}()
	for _, name := range []string{"anna", "berta"} {
		self, err := os.Executable()
		if err != nil {
			return o, err
		}
		cmd := exec.CommandContext(ctx, self)
		cmd.Env = append(os.Environ(), asWorker+"="+name, database+"="+dsn)
		cmd.Stderr = os.Stderr
		ready, err := cmd.StdoutPipe()
		if err != nil {
			return o, err
		}
		if err := cmd.Start(); err != nil {
			return o, err
		}
		hired = append(hired, cmd)
		// A worker that starts late might find all runs completed.
		if _, err := bufio.NewReader(ready).ReadString('\n'); err != nil {
			return o, fmt.Errorf("%s did not start: %w", name, err)
		}
	}
	fmt.Fprintln(out, "started the workers anna and berta, each a process")
	err = pgx.BeginFunc(ctx, w.Pool(), func(tx pgx.Tx) error {
		for i := range runs {
			key := core.RunKey{Tenant: "example", Run: fmt.Sprint("order-", i)}
			if err := worker.Enqueue(ctx, w, tx, p, key, Order{Text: key.Run}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return o, err
	}
	fmt.Fprintf(out, "enqueued %d runs of 3 steps in one transaction\n", runs)
	held, err := stopInside(ctx, w, hired[0].Process)
	if err != nil {
		return o, err
	}
	if err := hired[0].Process.Kill(); err != nil {
		return o, err
	}
	killed := time.Now()
	fmt.Fprintf(out, "killed anna (kill -9) while it executed %d runs of %d\n", held, runs)
	all, err := watch(ctx, w, func(all []core.RunInfo) bool {
		o.completed = 0
		for _, r := range all {
			if r.Status == core.Completed {
				o.completed++
			}
		}
		return o.completed == runs
	})
	if err != nil {
		return o, err
	}
	fmt.Fprintf(out, "all %d runs completed %.1f s after the kill\n", runs, time.Since(killed).Seconds())
	return o.count(ctx, out, w, all)
}

// stopInside stops the worker anna when one of the runs that it executes has one of its three steps
// recorded, and returns the number of runs that it executes. It stops the process before it checks
// the runs, because a running process could complete them between the check and the kill. A step
// that was being saved at that moment may still be recorded, so such a run has one or two steps,
// but never three.
func stopInside(ctx context.Context, w *worker.Worker, anna *os.Process) (held int, err error) {
	for {
		inside, completed := 0, 0
		count := func(all []core.RunInfo) bool {
			held, inside, completed = 0, 0, 0
			for _, r := range all {
				if r.Status == core.Completed {
					completed++
				}
				if r.Status == core.Running && r.Holder.Executor == "anna" {
					held++
					if r.Usage.Steps == 1 {
						inside++
					}
				}
			}
			return inside > 0
		}
		_, err := watch(ctx, w, func(all []core.RunInfo) bool { return count(all) || completed == len(all) })
		if err != nil {
			return 0, err
		}
		if inside == 0 {
			return 0, errors.New("all runs completed before anna was seen in the middle of one")
		}
		if err := anna.Signal(syscall.SIGSTOP); err != nil {
			return 0, err
		}
		all, err := w.Backend().List(ctx, core.Filter{})
		if err != nil || count(all) {
			return held, err
		}
		if err := anna.Signal(syscall.SIGCONT); err != nil {
			return 0, err
		}
	}
}

// count counts the records of all runs.
func (o outcome) count(ctx context.Context, out io.Writer, w *worker.Worker, all []core.RunInfo) (outcome, error) {
	o.by = map[string]int{}
	for _, r := range all {
		snap, err := w.Backend().Load(ctx, r.Key)
		if err != nil {
			return o, err
		}
		o.by[r.Holder.Executor]++
		if r.Epoch > 2 { // epoch 1 is the start, 2 the first worker
			o.taken++
		}
		seen := map[string]bool{}
		for _, step := range snap.Steps {
			o.records++
			if seen[step.Path] {
				o.doubled++
			}
			seen[step.Path] = true
		}
	}
	fmt.Fprintf(out, "anna completed %d runs, berta %d, of which %d were begun by anna\n", o.by["anna"], o.by["berta"], o.taken)
	fmt.Fprintf(out, "%d step records for %d runs of 3 steps: %d doubled\n", o.records, len(all), o.doubled)
	return o, nil
}

// watch lists the runs until enough returns true.
func watch(ctx context.Context, w *worker.Worker, enough func([]core.RunInfo) bool) ([]core.RunInfo, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		all, err := w.Backend().List(ctx, core.Filter{})
		if err != nil || enough(all) {
			return all, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if name := os.Getenv(asWorker); name != "" {
		err = work(ctx, name, os.Getenv(database))
	} else {
		_, err = demonstrate(ctx, os.Stdout, 100)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		stop()
		os.Exit(1)
	}
}
