package coretest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/core"
)

// Opener opens the backend whose file, or folder, is at path, and creates it when
// it is missing.
type Opener func(ctx context.Context, path string) (core.Backend, error)

const (
	childPath = "FLUJO_CORETEST_PATH" // set only in the child that is to be killed
	childStep = "FLUJO_CORETEST_STEP"
	steps     = 4
)

// Main runs the tests, or, in a child process that [Recovery] has started, the
// pipeline that will be killed. Call it from TestMain and pass on its result.
func Main(m *testing.M, open Opener) int {
	path := os.Getenv(childPath)
	if path == "" {
		return m.Run()
	}
	step, err := strconv.Atoi(os.Getenv(childStep))
	if err == nil {
		err = child(path, step, open)
	}
	fmt.Fprintln(os.Stderr, "child was not killed:", err)
	return 1
}

type scope struct{ Done []string }

// pipeline has steps s1 to s4; each leaves a line in the file at log, its effect,
// and calls in before it returns.
func pipeline(log string, in func(path string)) (*core.Pipeline[scope], error) {
	agent := core.Func[int, string](func(_ context.Context, req core.Request[int]) (string, error) {
		f, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return "", err
		}
		_, err = fmt.Fprintln(f, req.Key())
		if err := errors.Join(err, f.Close()); err != nil {
			return "", err
		}
		in(req.Path)
		return req.Path, nil
	})
	var nodes []*core.Node[scope]
	for i := range steps {
		nodes = append(nodes, core.Step(fmt.Sprint("s", i+1), agent,
			func(s scope) int { return len(s.Done) },
			func(s *scope, out string) { s.Done = append(slices.Clone(s.Done), out) }))
	}
	return core.New("recovery", nodes...)
}

// child runs the pipeline, says on standard output that it is in the given step,
// and waits there for its end.
func child(path string, step int, open Opener) error {
	ctx := context.Background()
	b, err := open(ctx, path)
	if err != nil {
		return err
	}
	p, err := pipeline(path+".log", func(at string) {
		if at == fmt.Sprint("s", step) {
			fmt.Println("in", at)
			select {} // with the backend open, until kill -9
		}
	})
	if err != nil {
		return err
	}
	_, err = core.Run(ctx, core.NewEngine(core.WithBackend(b)), p, key, scope{})
	return err
}

// Recovery kills a process with SIGKILL inside each step of a pipeline in turn
// and resumes the run in this one: no saved step may run again, none may be left
// out, and the end must be that of an unharmed run. It also takes the saves away
// and demands that its own check notices.
func Recovery(t *testing.T, open Opener) {
	for step := 1; step <= steps; step++ {
		t.Run(fmt.Sprintf("killed in step %d", step), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "runs")
			killIn(t, path, step)
			if err := resume(path, step, open); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("control: with the last record forgotten the check fails", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "runs")
		killIn(t, path, 3)
		err := resume(path, 3, func(ctx context.Context, path string) (core.Backend, error) {
			b, err := open(ctx, path)
			return forgetful{b}, err
		})
		if err == nil {
			t.Error("a backend forgot a saved step, and the check of the recovery did not notice")
		}
	})
}

// killIn starts a child and kills it once it is in the given step.
func killIn(t *testing.T, path string, step int) {
	t.Helper()
	exe, err := os.Executable()
	check(t, "find the test program", err, nil)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childPath+"="+path, childStep+"="+strconv.Itoa(step))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	check(t, "connect the child", err, nil)
	check(t, "start the child", cmd.Start(), nil)
	line, err := bufio.NewReader(out).ReadString('\n')
	killed := cmd.Process.Kill()
	_ = cmd.Wait() // "signal: killed" is what is wanted
	check(t, "wait for the child to be in its step", err, nil)
	check(t, "kill the child", killed, nil)
	if want := fmt.Sprintf("in s%d\n", step); line != want {
		t.Fatalf("the child said %q, want %q", line, want)
	}
}

// resume continues the run that was killed in the given step and checks it.
func resume(path string, step int, open Opener) (err error) {
	ctx := context.Background()
	b, err := open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	p, err := pipeline(path+".log", func(string) {})
	if err != nil {
		return err
	}
	res, err := core.Resume(ctx, core.NewEngine(core.WithBackend(b)), p, key)
	if err != nil {
		return err
	}
	if want := []string{"s1", "s2", "s3", "s4"}; res.Status != core.Completed || !slices.Equal(res.Scope.Done, want) {
		return fmt.Errorf("resumed run is %v with %v, want completed with %v", res.Status, res.Scope.Done, want)
	}
	if want := steps - step + 1; res.Steps != want {
		return fmt.Errorf("the resumed run executed %d steps, want %d", res.Steps, want)
	}
	log, err := os.ReadFile(path + ".log")
	if err != nil {
		return err
	}
	var want []string // the step that was under way has its effect twice, with one key
	for i := 1; i <= steps; i++ {
		want = append(want, fmt.Sprintf("%s#s%d", key, i))
		if i == step {
			want = append(want, want[len(want)-1])
		}
	}
	if got := strings.Fields(string(log)); !slices.Equal(got, want) {
		return fmt.Errorf("effects %v, want %v", got, want)
	}
	snap, err := b.Load(ctx, key)
	if err != nil {
		return err
	}
	for i, s := range snap.Steps {
		if want := fmt.Sprint("s", i+1); s.Path != want {
			return fmt.Errorf("record %d is of %s, want %s", i+1, s.Path, want)
		}
	}
	if len(snap.Steps) != steps {
		return fmt.Errorf("%d records, want %d", len(snap.Steps), steps)
	}
	return nil
}

// forgetful loses the last step record when a run is claimed.
type forgetful struct{ core.Backend }

func (f forgetful) Claim(ctx context.Context, k core.RunKey) (core.Lease, core.Snapshot, error) {
	lease, s, err := f.Backend.Claim(ctx, k)
	if n := len(s.Steps); n > 1 {
		s.Steps, s.State = s.Steps[:n-1], s.Steps[n-2].State
	}
	return lease, s, err
}
