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

// interruptWait is the time that an interrupted command has to write its reports.
const interruptWait = 20 * time.Second

// RunGroup runs a foreign command in a process group of its own. When ctx ends, the group is
// interrupted and has 20 s to write its reports. Processes of the group that are still running
// after the command has ended are killed. guard is the command line of a program that calls
// [ServeGuard]; it kills the group if this process is killed.
//
// failed is the failure of a command that ran, such as a [exec.ExitError]; err is the reason
// why it could not be run.
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
		EndGroup(cmd.Process.Pid) // a killed test runner leaves its test programs running
	}
	if err = errors.Join(err, guarded.end()); err != nil {
		return nil, err
	}
	if exit := (*exec.ExitError)(nil); failed != nil && !errors.As(failed, &exit) && ctx.Err() == nil {
		return nil, failed
	}
	return failed, nil
}

// guard is a process that kills a process group unless this process sends guardDone before it
// ends.
type guard struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

// guardDone is the line that makes a guard exit without killing the group.
const guardDone = "done"

func newGuard(line []string) (g guard, err error) {
	g.cmd = exec.Command(line[0], line[1:]...)
	Group(g.cmd) // a second Ctrl-C ends this program at once and must not end the guard
	g.cmd.Cancel = nil
	if g.in, err = g.cmd.StdinPipe(); err == nil {
		err = g.cmd.Start() // not Start of this package: the guard must outlive this process
	}
	if err != nil {
		return g, fmt.Errorf("start the guard process, which kills the tests if this program is killed: %w", err)
	}
	return g, nil
}

// over sends the ID of the process that leads the group.
func (g guard) over(leader int) error {
	_, err := fmt.Fprintln(g.in, leader)
	return err
}

func (g guard) end() error {
	_, err := fmt.Fprintln(g.in, guardDone)
	return errors.Join(err, g.in.Close(), g.cmd.Wait())
}

// ServeGuard runs the guard of [RunGroup]. It reads the process ID of a group leader from in and
// kills that group if in ends without a message that the command has ended. A line that is
// neither is an error, and nothing is killed.
func ServeGuard(in io.Reader) error {
	// The guard ends with its input; signals to the terminal's processes must not end it earlier.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	leader := 0
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if strings.TrimSpace(lines.Text()) == guardDone {
			return nil
		}
		if _, err := fmt.Sscan(lines.Text(), &leader); err != nil {
			return fmt.Errorf("guard: %q is not a process ID", lines.Text())
		}
	}
	EndGroup(leader)
	return nil
}

// Explained completes the error of a command: it appends the standard error output that
// [exec.Cmd.Output] recorded, or a remedy if the program does not exist. Other errors are returned
// unchanged.
func Explained(err error) error {
	if missing := new(exec.Error); errors.As(err, &missing) && errors.Is(missing, exec.ErrNotFound) {
		return fmt.Errorf("%w: install %s, or add its folder to PATH", err, missing.Name)
	}
	if exit := new(exec.ExitError); errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return err
}
