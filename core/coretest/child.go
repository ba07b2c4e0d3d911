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

// children runs the jobs of [Recovery], [Fencing] and [Rivals] in child processes.
var children = Children[job]{"FLUJO_CORETEST_JOB"}

// job describes the work of a child process.
type job struct {
	Backend  string // the name of the backend, if the program has several
	Path     string
	Round    int
	Kill     kill
	Worker   bool    // run as the worker of [Fencing]
	Contest  contest // run as the other process of [Rivals], in this contest
	Unfenced bool    // use a backend that does not fence
}

// kill is the commit at which a process kills itself with SIGKILL.
type kill struct {
	Commit int  // number of the commit in its process, from 1; 0 means never
	After  bool // after the commit; otherwise before it
}

func (k kill) String() string {
	if k.After {
		return fmt.Sprintf("after commit %d", k.Commit)
	}
	return fmt.Sprintf("before commit %d", k.Commit)
}

// Main runs the tests. In a child process that [Recovery], [Fencing] or [Rivals] has started, it
// runs the job of that process and exits. Call it from TestMain and pass its result to os.Exit.
func Main(m *testing.M, open Opener) int {
	Serve("", open)
	return m.Run()
}

// Serve runs the job of a child process that was started for the backend of this name, and exits;
// see [RecoveryCases]. In any other process it does nothing.
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

// run drives the pipeline to its end, unless the process is killed first, as it mostly is.
func (j job) run(open Opener) (err error) {
	b, err := open(ctx, j.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	e := effects{j.Path, j.Round}
	_, err = e.drive(e.mortal(b, j.Kill), j.Round%2 == 0) // so that both values are tested
	return err
}

// mortal counts commits, notes the acknowledged ones, and kills its process at the commit that kill
// selects.
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

// Mortal wraps b so that the process kills itself, as kill -9 would, right after the commit with
// the given number, or instead of that commit if before is set. Commits are counted from 1 and
// include claims.
func Mortal(b core.Backend, commit int, before bool) core.Backend {
	return &mortal{Backend: b, kill: kill{commit, !before}, noted: func(...any) error { return nil }}
}

// commit calls do, which makes one commit and returns the fields to note for it. If this is the
// commit that kill selects, the process is killed before or after it.
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

// die ends the process as kill -9 does: nothing is flushed, closed or reported.
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

// Kinds of acknowledged commits. The note of each has further fields.
const (
	ackStart  = "start"  // number, epoch and nonce of the lease
	ackClaim  = "claim"  // number, epoch and nonce of the lease
	ackStep   = "step"   // path
	ackFinish = "finish" // status
	ackSignal = "signal" // token
)

func (m *mortal) Start(ctx context.Context, rec core.StartRecord) (l core.Lease, err error) {
	err = m.commit(func() ([]any, error) {
		l, err = m.Backend.Start(ctx, rec)
		return []any{ackStart, l.ID, l.Epoch, l.Nonce}, err
	})
	return l, err
}

func (m *mortal) Claim(ctx context.Context, k core.RunKey, epoch int64) (l core.Lease, s core.Snapshot, err error) {
	err = m.commit(func() ([]any, error) {
		l, s, err = m.Backend.Claim(ctx, k, epoch)
		return []any{ackClaim, l.ID, l.Epoch, l.Nonce}, err
	})
	return l, s, err
}

func (m *mortal) Acquire(ctx context.Context, known core.Snapshot, h core.Holder) (l core.Lease, s core.Snapshot, err error) {
	err = m.commit(func() ([]any, error) {
		l, s, err = m.Backend.Acquire(ctx, known, h)
		return []any{ackClaim, l.ID, l.Epoch, l.Nonce}, err
	})
	return l, s, err
}

// Unwrap lets [core.Engine.List] and similar functions find the backend.
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
