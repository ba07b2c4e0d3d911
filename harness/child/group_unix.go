//go:build unix

package child

import (
	"os/exec"
	"syscall"
)

// Group puts the command, and everything it will start, into a process group of its own.
// Cancelling the command sends SIGINT to the group in place of SIGKILL to the process, so that
// test runners still write their reports.
func Group(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
}

// EndGroup kills the process group whose leader has the given process ID. A group without
// processes is not an error.
func EndGroup(leader int) {
	if leader > 1 { // kill(-1) signals every process of the user
		_ = syscall.Kill(-leader, syscall.SIGKILL)
	}
}
