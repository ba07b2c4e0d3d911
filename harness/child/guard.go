package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// interruptWait is the time that an interrupted command has to write its report.
const interruptWait = 20 * time.Second

// RunGroup runs a foreign command with everything that it starts. When ctx ends, the group is
// interrupted and has 20 s to report; whatever is left of the group when the command has ended
// is killed. guard is the command line of a program that calls [ServeGuard]: it kills the group
// if this process is killed.
//
// failed says how the command failed, err why it could not be run at all.
func RunGroup(ctx context.Context, cmd *exec.Cmd, guard []string) (failed, err error) {
	Group(cmd)
	cmd.WaitDelay = interruptWait
	guarded, err := newGuard(guard)
	if err != nil {
		return nil, err
	}
	wait, failed := Start(cmd)
	if failed == nil {
		err = guarded.over(cmd.Process.Pid)
		failed = wait()
		EndGroup(cmd.Process.Pid) // a killed test runner leaves its test programs
	}
	if err = errors.Join(err, guarded.end()); err != nil {
		return nil, err
	}
	if exit := (*exec.ExitError)(nil); failed != nil && !errors.As(failed, &exit) && ctx.Err() == nil {
		return nil, failed
	}
	return failed, nil
}

// guard is a process that kills a process group when this process ends without saying that
// it is done.
type guard struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

// guardDone is what the guard is sent when there is nothing left to guard.
const guardDone = "done"

func newGuard(line []string) (g guard, err error) {
	g.cmd = exec.Command(line[0], line[1:]...)
	Group(g.cmd) // a second Ctrl-C ends this program at once, and must not end the guard
	g.cmd.Cancel = nil
	if g.in, err = g.cmd.StdinPipe(); err == nil {
		err = g.cmd.Start() // it has to outlive this process, so the kernel must not end it
	}
	if err != nil {
		return g, fmt.Errorf("start the process that ends the tests of a killed run: %w", err)
	}
	return g, nil
}

// over names the leader of the group to guard.
func (g guard) over(leader int) error {
	_, err := fmt.Fprintln(g.in, leader)
	return err
}

func (g guard) end() error {
	_, err := fmt.Fprintln(g.in, guardDone)
	return errors.Join(err, g.in.Close(), g.cmd.Wait())
}

// ServeGuard is the guard's side of [RunGroup]: it reads the process number of the leader of a
// group from in, and kills that group if in ends without a message that all is done.
func ServeGuard(in io.Reader) error {
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) // it ends with its input
	leader := 0
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if strings.TrimSpace(lines.Text()) == guardDone {
			return nil
		}
		if _, err := fmt.Sscan(lines.Text(), &leader); err != nil {
			return fmt.Errorf("guard: %q is not a process number", lines.Text())
		}
	}
	EndGroup(leader)
	return nil
}

// Explained adds to the error of a command what it printed on standard error, where
// [exec.Cmd.Output] has kept that, and what to do where there is no such program.
func Explained(err error) error {
	if missing := new(exec.Error); errors.As(err, &missing) && errors.Is(missing, exec.ErrNotFound) {
		return fmt.Errorf("%w: install %s, or add its folder to PATH", err, missing.Name)
	}
	if exit := new(exec.ExitError); errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return err
}
