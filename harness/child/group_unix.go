//go:build unix

package child

import (
	"os/exec"
	"syscall"
)

// Group puts the command, with all that it will start, into a process group of its own. A
// cancelled command has its group interrupted: test runners then still write their reports.
func Group(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
}

// EndGroup kills the process group that the process of this number leads. That nobody is
// left in it is no error.
func EndGroup(leader int) {
	if leader > 1 { // -1 would be everybody
		_ = syscall.Kill(-leader, syscall.SIGKILL)
	}
}
