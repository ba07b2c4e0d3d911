package coretest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/flujo/flujo-harness/core"
)

// children do the jobs of [Recovery], [Fencing] and [Rivals].
var children = Children[job]{"FLUJO_CORETEST_JOB"}

// job is what a child process is to do.
type job struct {
	Backend  string // its name, where a program has several
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
	Serve("", open)
	return m.Run()
}

// Serve is what [Main] does in a child process, for the backend of this name: see
// [RecoveryCases]. Elsewhere it does nothing.
func Serve(name string, open Opener) {
	children.Serve(func(j job) bool { return j.Backend == name }, func(j job) error {
		switch {
		case j.Worker:
			return j.work(open)
		case j.Contest != "":
			return j.rival(open)
		}
		return j.run(open)
	})
}

// run drives the pipeline to its end, which is seldom reached.
func (j job) run(open Opener) (err error) {
	b, err := open(ctx, j.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	e := effects{j.Path, j.Round}
	_, err = e.drive(e.mortal(b, j.Kill), j.Round%2 == 0) // so that both ways are taken
	return err
}

// mortal counts commits, notes the ones that were acknowledged, and kills its
// process at one of them.
type mortal struct {
	core.Backend
	noted func(fields ...any) error
	kill  kill

	mu      sync.Mutex
	commits int
}

func (e effects) mortal(b core.Backend, k kill) *mortal {
	return &mortal{Backend: b, kill: k, noted: func(fields ...any) error { return e.note(".acknowledged", fields...) }}
}

// Mortal is b in a process that kills itself, as kill -9 does, behind the commit of the
// given number, from 1, or with before in place of it. Claims are commits too.
func Mortal(b core.Backend, commit int, before bool) core.Backend {
	return &mortal{Backend: b, kill: kill{commit, !before}, noted: func(...any) error { return nil }}
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
		err = m.noted(fields...)
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

func (m *mortal) Acquire(ctx context.Context, known core.Snapshot, h core.Holder) (l core.Lease, s core.Snapshot, err error) {
	err = m.commit(func() ([]any, error) {
		l, s, err = m.Backend.Acquire(ctx, known, h)
		return []any{ackClaim, l.ID, l.Epoch}, err
	})
	return l, s, err
}

// Unwrap lets [core.List] and its like find the backend.
func (m *mortal) Unwrap() core.Backend { return m.Backend }

func (m *mortal) Step(ctx context.Context, l core.Lease, rec core.StepRecord) error {
	return m.commit(func() ([]any, error) { return []any{ackStep, rec.Path}, m.Backend.Step(ctx, l, rec) })
}

func (m *mortal) Finish(ctx context.Context, l core.Lease, rec core.FinishRecord) error {
	return m.commit(func() ([]any, error) { return []any{ackFinish, rec.Status}, m.Backend.Finish(ctx, l, rec) })
}

func (m *mortal) Signal(ctx context.Context, k core.RunKey, rec core.AnswerRecord) error {
	return m.commit(func() ([]any, error) { return []any{ackSignal, rec.Token}, m.Backend.Signal(ctx, k, rec) })
}
