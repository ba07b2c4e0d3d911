// Package child starts processes that end when this process ends, also where it was killed
// and could not stop them.
//
// No single means is enough, so there are three:
//
//   - On Linux the kernel kills a child whose parent is gone. That holds for the child, not
//     for what the child has started. [Run], [Output], [CombinedOutput] and [Start] ask for it.
//   - A child that calls [Watch] exits when its standard input, a pipe from [Tie], reaches its
//     end. That holds on every system.
//   - A process group, see [Group] and [EndGroup], holds what a foreign program has started.
//     Somebody has to end it: the parent, or a watcher that survives the parent.
package child

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
)

// Run is [exec.Cmd.Run] for a child that ends with this process.
func Run(cmd *exec.Cmd) error {
	_, err := onThread(cmd, func() ([]byte, error) { return nil, cmd.Run() })
	return err
}

// Output is [exec.Cmd.Output] for a child that ends with this process.
func Output(cmd *exec.Cmd) ([]byte, error) { return onThread(cmd, cmd.Output) }

// CombinedOutput is [exec.Cmd.CombinedOutput] for a child that ends with this process.
func CombinedOutput(cmd *exec.Cmd) ([]byte, error) { return onThread(cmd, cmd.CombinedOutput) }

// Start starts a child that ends with this process. The caller must call wait, which is
// [exec.Cmd.Wait].
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

// onThread runs the child from a thread that lives as long as the child does: Linux takes
// the end of the thread that started a child for the end of the parent.
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

// tied is set in the environment of a child whose standard input ends with its parent.
const tied = "FLUJO_HARNESS_TIED"

// Tie makes the end of this process the end of the child's standard input. The child reads
// first from it, and must call [Watch]. Call Tie before the start; the pipe is closed when
// the child has been waited for.
func Tie(cmd *exec.Cmd, first []byte) error {
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("tie a child process to this one: %w", err)
	}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, tied+"=1")
	go func() { // a pipe takes little before somebody reads; a child that does not read is seen by its results
		_, _ = in.Write(first)
	}()
	return nil
}

// Watch ends this process, with exit code 1, when in reaches its end, where the parent has
// tied it by [Tie]; else it does nothing. in is standard input, or what is left of it.
func Watch(in io.Reader) {
	if os.Getenv(tied) == "" {
		return
	}
	_ = os.Unsetenv(tied) // it is not true of the children of this process
	go func() {
		if _, err := io.Copy(io.Discard, in); errors.Is(err, os.ErrClosed) {
			return // by this process itself
		}
		os.Exit(1)
	}()
}
