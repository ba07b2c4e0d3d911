// Package child starts processes that end when this process ends, even if this process is
// killed and cannot stop them.
//
// No single mechanism is enough, so there are three:
//
//   - On Linux the kernel kills a child when its parent exits. This covers the child but not
//     the processes that the child started. [Run], [Output], [CombinedOutput] and [Start]
//     request it.
//   - A child that calls [Watch] exits at the end of its standard input, a pipe created by
//     [Tie]. This works on every system, but only for programs that call Watch.
//   - A process group, see [Group] and [EndGroup], contains everything that a foreign program
//     starts. Something must kill it: the parent, or a guard process that outlives the parent.
//     [RunGroup] does both.
package child

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
)

// Run calls [exec.Cmd.Run] for a child that ends with this process.
func Run(cmd *exec.Cmd) error {
	_, err := onThread(cmd, func() ([]byte, error) { return nil, cmd.Run() })
	return err
}

// Output calls [exec.Cmd.Output] for a child that ends with this process.
func Output(cmd *exec.Cmd) ([]byte, error) { return onThread(cmd, cmd.Output) }

// CombinedOutput calls [exec.Cmd.CombinedOutput] for a child that ends with this process.
func CombinedOutput(cmd *exec.Cmd) ([]byte, error) { return onThread(cmd, cmd.CombinedOutput) }

// Start calls [exec.Cmd.Start] for a child that ends with this process. The caller must call
// wait, exactly once, in place of [exec.Cmd.Wait].
func Start(cmd *exec.Cmd) (wait func() error, err error) {
	started, ended := make(chan error), make(chan error, 1)
	go func() {
		_, err := onThread(cmd, func() ([]byte, error) {
			err := cmd.Start()
			started <- err
			if err != nil {
				return nil, err
			}
			return nil, cmd.Wait()
		})
		ended <- err
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return func() error { return <-ended }, nil
}

// onThread runs the child from an operating system thread that lives as long as the child.
// The Linux parent-death signal (prctl(2), PR_SET_PDEATHSIG) is sent when the thread that
// started the child exits, not when the process does, and Go ends threads that it no longer
// needs.
func onThread(cmd *exec.Cmd, run func() ([]byte, error)) (out []byte, err error) {
	endWithParent(cmd)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		out, err = run()
	}()
	<-ended
	return out, err
}

// tied is the environment variable that marks a child whose standard input ends with its parent.
const tied = "FLUJO_HARNESS_TIED"

// Tie connects the child's standard input to a pipe that reaches its end when this process
// ends. The child receives first on it and must then call [Watch]. Call Tie before the child
// is started; waiting for the child closes the pipe.
func Tie(cmd *exec.Cmd, first []byte) error {
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("tie a child process to this one: %w", err)
	}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, tied+"=1")
	// A pipe buffers only a few pages until its reader reads. A write error means that the
	// child ended early, which its exit code and its missing results report.
	go func() {
		_, _ = in.Write(first)
	}()
	return nil
}

// Watch ends this process with exit code 1 when in reaches its end, provided that the parent
// called [Tie]; otherwise it does nothing. in is standard input, or the unread rest of it.
// Watch returns at once and reads in a goroutine of its own.
func Watch(in io.Reader) {
	if os.Getenv(tied) == "" {
		return
	}
	_ = os.Unsetenv(tied) // this process's own children have another standard input
	go func() {
		if _, err := io.Copy(io.Discard, in); errors.Is(err, os.ErrClosed) {
			return // this process closed its own standard input
		}
		os.Exit(1)
	}()
}
