package coretest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/flujo/flujo-harness/core"
)

// jobVariable holds the job of a child process; it is set in no other.
const jobVariable = "FLUJO_CORETEST_JOB"

// How a child exits that was not killed.
const (
	exitDone  = 0
	exitError = 3
)

// job is what a child process is to do.
type job struct {
	Path     string
	Round    int
	Kill     kill
	Worker   bool    // be the worker of [Fencing] instead
	Contest  contest // be the other process of [Rivals] instead
	Unfenced bool    // with a backend that does not fence
}

// kill is the moment in which a process ends itself by SIGKILL.
type kill struct {
	Commit int  // counted from 1 in its process; 0: never
	After  bool // it was made, rather than before it is
}

func (k kill) String() string {
	if k.After {
		return fmt.Sprintf("after commit %d", k.Commit)
	}
	return fmt.Sprintf("before commit %d", k.Commit)
}

// Main runs the tests, or, in a child process that [Recovery], [Fencing] or [Rivals] has
// started, what that is to do. Call it from TestMain and pass on its result.
func Main(m *testing.M, open Opener) int {
	text, ok := os.LookupEnv(jobVariable)
	if !ok {
		return m.Run()
	}
	var j job
	err := json.Unmarshal([]byte(text), &j)
	switch {
	case err != nil:
	case j.Worker:
		err = j.work(open)
	case j.Contest != "":
		err = j.rival(open)
	default:
		err = j.run(open)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		return exitError
	}
	return exitDone
}

// run drives the pipeline to its end, which is seldom reached.
func (j job) run(open Opener) (err error) {
	b, err := open(ctx, j.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	e := effects{j.Path, j.Round}
	_, err = e.drive(&mortal{Backend: b, effects: e, kill: j.Kill}, j.Round%2 == 0) // so that both ways are taken
	return err
}

// command is this program as a child with the job.
func (j job) command() (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), jobVariable+"="+string(text))
	if _, ok := os.LookupEnv("GORACE"); !ok {
		cmd.Env = append(cmd.Env, "GORACE=atexit_sleep_ms=0") // or it waits for a second at its end
	}
	return cmd, nil
}

// spawn runs the job in a child and says whether it was killed.
func (j job) spawn() (killed bool, err error) {
	cmd, err := j.command()
	if err != nil {
		return false, err
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	switch code := cmd.ProcessState.ExitCode(); {
	case err == nil:
		return false, nil
	case !errors.As(err, new(*exec.ExitError)):
		return false, err
	case code == exitError || out.Len() > 0:
		return false, fmt.Errorf("child of round %d: %w\n%s", j.Round, err, &out)
	}
	return true, nil
}

// mortal counts commits, notes the ones that were acknowledged, and kills its
// process at one of them.
type mortal struct {
	core.Backend
	effects effects
	kill    kill

	mu      sync.Mutex
	commits int
}

// commit makes one commit, which returns what is to be noted of it, and kills the
// process before or after it where it is the one.
func (m *mortal) commit(do func() ([]any, error)) error {
	m.mu.Lock()
	m.commits++
	now := m.commits == m.kill.Commit
	m.mu.Unlock()
	if now && !m.kill.After {
		die()
	}
	fields, err := do()
	if err == nil {
		err = m.effects.note(".acknowledged", fields...)
	}
	if now {
		die()
	}
	return err
}

// die ends the process as kill -9 does: nothing is flushed, closed or told.
func die() {
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		panic(err)
	}
	select {}
}

// What is noted of a commit.
const (
	ackStart  = "start"  // with the number and the epoch of its lease
	ackClaim  = "claim"  // likewise
	ackStep   = "step"   // with its path
	ackFinish = "finish" // with its status
	ackSignal = "signal" // with its token
)

func (m *mortal) Start(ctx context.Context, rec core.StartRecord) (l core.Lease, err error) {
	err = m.commit(func() ([]any, error) {
		l, err = m.Backend.Start(ctx, rec)
		return []any{ackStart, l.ID, l.Epoch}, err
	})
	return l, err
}

func (m *mortal) Claim(ctx context.Context, k core.RunKey, epoch int64) (l core.Lease, s core.Snapshot, err error) {
	err = m.commit(func() ([]any, error) {
		l, s, err = m.Backend.Claim(ctx, k, epoch)
		return []any{ackClaim, l.ID, l.Epoch}, err
	})
	return l, s, err
}

func (m *mortal) Step(ctx context.Context, l core.Lease, rec core.StepRecord) error {
	return m.commit(func() ([]any, error) { return []any{ackStep, rec.Path}, m.Backend.Step(ctx, l, rec) })
}

func (m *mortal) Finish(ctx context.Context, l core.Lease, rec core.FinishRecord) error {
	return m.commit(func() ([]any, error) { return []any{ackFinish, rec.Status}, m.Backend.Finish(ctx, l, rec) })
}

func (m *mortal) Signal(ctx context.Context, k core.RunKey, rec core.AnswerRecord) error {
	return m.commit(func() ([]any, error) { return []any{ackSignal, rec.Token}, m.Backend.Signal(ctx, k, rec) })
}
