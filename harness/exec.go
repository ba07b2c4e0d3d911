package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/flujo/flujo-harness/harness/child"
)

// Exec returns a runner that runs each session in a new process: the program
// exe with args, which must call [ServeSession].
func Exec(exe string, args ...string) Runner {
	return execute(func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, exe, args...) })
}

// ExecTest returns a runner for the workload of a test program, which must call
// [Serve] with it before it runs any test. dir is the working folder of the program,
// usually that of its package; "" is the current one.
func ExecTest(program, dir, workload string) Runner {
	return execute(func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, program, "-test.run=^$")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), servedWorkload+"="+workload)
		return cmd
	})
}

// servedWorkload is the environment variable that has the name of the workload of which a test
// program should run a session.
const servedWorkload = "FLUJO_HARNESS_SESSION"

// Serve runs a session of the workload and exits, if a runner of [ExecTest] started the process
// for that; otherwise it does nothing. It must be called before any test runs: from
// a package variable, an init function or TestMain.
func Serve(w Workload) {
	if os.Getenv(servedWorkload) != w.Name {
		return
	}
	_ = os.Unsetenv(servedWorkload) // processes that the session starts must not be sessions
	if err := ServeSession(context.Background(), os.Stdin, os.Stdout, w); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func execute(command func(context.Context) *exec.Cmd) Runner {
	return func(ctx context.Context, s Session) (res SessionResult, err error) {
		order, err := json.Marshal(s)
		if err != nil {
			return res, err
		}
		var stdout, stderr bytes.Buffer
		cmd := command(ctx)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		var read func() (float64, error)
		if s.Count != nil && s.Count.tool != nil {
			var remove func() error
			if read, remove, err = s.Count.wrap(cmd); err != nil {
				return res, err
			}
			defer func() { err = errors.Join(err, remove()) }()
		}
		if err := child.Tie(cmd, order); err != nil {
			return res, err
		}
		if err := child.Run(cmd); err != nil {
			return res, fmt.Errorf("session process: %w: %s", err, strings.TrimSpace(stderr.String()))
		}
		out := bytes.TrimSpace(stdout.Bytes())
		last := out[bytes.LastIndexByte(out, '\n')+1:] // a test program may have printed other lines
		if err := json.Unmarshal(last, &res); err != nil {
			return res, fmt.Errorf("the session process gave no result: does it call harness.Serve, or suites.DescribeOverhead, for workload %q before its first test? It printed %.200q", s.Workload, out)
		}
		if read != nil {
			res.Instructions, err = read()
		}
		return res, err
	}
}

// ServeSession runs in the process that [Exec] starts: it reads a session from in, runs it and
// writes the result to out as one line. The workload is looked up in own first, then among
// the built-in ones.
func ServeSession(ctx context.Context, in io.Reader, out io.Writer, own ...Workload) error {
	var s Session
	dec := json.NewDecoder(in)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return fmt.Errorf("read the order of the session: %w", err)
	}
	child.Watch(io.MultiReader(dec.Buffered(), in))
	res, err := s.Run(ctx, own...)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(res)
}
