package coretest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/flujo/flujo-harness/core"
)

// Fencing freezes a process (SIGSTOP) inside a step, lets another process take over its run, and
// wakes it up: right after the claim, after the other process has recorded the same step, and after
// the end of the run. The saves of the process must be refused with core.ErrFenced, and no record
// may be doubled. As a control, the check must detect a backend that does not fence.
// -coretest.rounds adds that many further rounds.
func Fencing(t *testing.T, open Opener) {
	if !canFreeze {
		t.Skip("a process cannot be frozen on this system")
	}
	run(t, FencingCases("", open))
}

// FencingCases returns the parts of [Fencing]; for name see [RecoveryCases]. It returns none if the
// system cannot freeze processes.
func FencingCases(name string, open Opener) (cases []Case) {
	if !canFreeze {
		return nil
	}
	for _, wake := range []string{"s2", "s3", ""} {
		when := map[string]string{"s2": "after the claim", "s3": "after the record of its step", "": "after the end"}[wake]
		cases = append(cases, Case{"a process that is woken " + when + " is refused", func(t testing.TB) {
			said, err := freeze(t, name, wake, open, false)
			if err != nil {
				t.Error(err)
			}
			if said != saidFenced {
				t.Errorf("the worker printed %q, want %q", said, saidFenced)
			}
		}})
	}
	if *rounds > 0 {
		cases = append(cases, Case{"woken at random", func(t testing.TB) {
			rng := rand.New(rand.NewPCG(*seed, 1))
			bad, doubled := 0, 0
			for range *rounds {
				wake := []string{"s2", "s3", ""}[rng.IntN(3)]
				if said, err := freeze(t, name, wake, open, false); err != nil || said != saidFenced {
					bad++
					t.Errorf("woken in %q, the worker printed %q: %v\n%s", wake, said, err, repeat(t))
				}
			}
			controls := (*rounds + 9) / 10
			for range controls {
				if _, err := freeze(t, name, "s3", open, true); errors.Is(err, errDoubled) {
					doubled++
				}
			}
			if doubled == 0 {
				t.Error("control: without a fence no record was doubled")
			}
			t.Logf("%d workers woken after the claim of another process: %d not refused; without a fence %d of %d doubled a record", *rounds, bad, doubled, controls)
		}})
	}
	return append(cases, Case{"control: without a fence a record is doubled", func(t testing.TB) {
		said, err := freeze(t, name, "s3", open, true)
		if !errors.Is(err, errDoubled) {
			t.Errorf("the worker printed %q, and the check found: %v", said, err)
		}
	}})
}

// Lines that the worker prints on its standard output.
const (
	saidReady  = "is in its step"
	saidFenced = "was fenced"
	saidSaved  = "completed the run"
)

// steps returns a pipeline of three steps, each of which calls in before it returns.
func (e effects) steps(in func(path string) error) (*core.Pipeline[doc], error) {
	agent := core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
		return req.Input + " " + req.Path, in(req.Path)
	})
	var nodes []*core.Node[doc]
	for _, name := range []string{"s1", "s2", "s3"} {
		nodes = append(nodes, core.Step(name, agent, docText, setText))
	}
	return core.New("fencing", nodes...)
}

// work runs the pipeline as the worker. In its second step it prints saidReady and waits for a line
// on standard input.
func (j job) work(open Opener) (err error) {
	b, err := open(ctx, j.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if j.Unfenced {
		b = unfence(b)
	}
	p, err := effects{}.steps(func(path string) error {
		if path != "s2" {
			return nil
		}
		fmt.Println(saidReady)
		_, err := bufio.NewReader(os.Stdin).ReadString('\n')
		return err
	})
	if err != nil {
		return err
	}
	_, err = core.Run(ctx, core.NewEngine(core.WithBackend(b)), p, key, doc{})
	switch {
	case errors.Is(err, core.ErrFenced):
		fmt.Println(saidFenced)
	case err == nil:
		fmt.Println(saidSaved)
	default:
		return err
	}
	return nil
}

// worker is a child process that runs [job.work].
type worker struct {
	io.Writer
	out  *bufio.Reader
	pid  int
	wait func() error
}

func (w *worker) says() (string, error) {
	s, err := w.out.ReadString('\n')
	return s[:max(0, len(s)-1)], err
}

func hire(t testing.TB, j job) *worker {
	t.Helper()
	cmd, err := children.Command(j)
	check(t, "find the test program", err, nil)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	check(t, "connect the child", err, nil)
	out, err := cmd.StdoutPipe()
	check(t, "connect the child", err, nil)
	check(t, "start the child", cmd.Start(), nil)
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // in case the test fails before the child exits
	return &worker{in, bufio.NewReader(out), cmd.Process.Pid, cmd.Wait}
}

// freeze starts a worker, freezes it in s2, continues its run in this process, and wakes it when
// the run is in the given step, or after the end if wake is empty. It returns the last line that
// the worker printed, and the errors in the run.
func freeze(t testing.TB, name, wake string, open Opener, unfenced bool) (said string, err error) {
	path := filepath.Join(t.TempDir(), "runs")
	w := hire(t, job{Backend: name, Path: path, Worker: true, Unfenced: unfenced})
	ready, err := w.says()
	check(t, "wait for the worker to be in its step", err, nil)
	if ready != saidReady {
		t.Fatalf("the worker printed %q", ready)
	}
	check(t, "freeze the worker", suspend(w.pid), nil)
	// The worker could continue now if it were not frozen.
	_, err = fmt.Fprintln(w, "go on")
	check(t, "let the worker continue", err, nil)
	thaw := func() error {
		if err := wakeUp(w.pid); err != nil {
			return err
		}
		var err error
		if said, err = w.says(); err != nil {
			return err
		}
		return w.wait()
	}
	b, err := open(ctx, path)
	check(t, "open", err, nil)
	defer func() { check(t, "close", b.Close(), nil) }()
	p, err := effects{}.steps(func(path string) error {
		if path == wake {
			return thaw()
		}
		return nil
	})
	check(t, "make the pipeline", err, nil)
	res, err := core.Resume(ctx, core.NewEngine(core.WithBackend(b)), p, key)
	if wake == "" {
		check(t, "wake the worker", thaw(), nil)
	}
	var errs []error
	if err != nil || res.Status != core.Completed || res.Scope.Text != " s1 s2 s3" {
		errs = append(errs, fmt.Errorf("%w: the process that took over has %v with %q, %v", errDiffers, res.Status, res.Scope.Text, err))
	}
	times := map[string]int{}
	for _, rec := range load(t, b, key).Steps {
		if times[rec.Path]++; times[rec.Path] > 1 {
			errs = append(errs, fmt.Errorf("%w: %s", errDoubled, rec.Path))
		}
	}
	if len(times) != 3 {
		errs = append(errs, fmt.Errorf("%w: records of %v, want s1 to s3", errDiffers, times))
	}
	return said, errors.Join(errs...)
}
