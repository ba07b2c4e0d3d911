//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// interruptible makes a cancelled command an interrupted one, with all that it
// has started: Ginkgo then ends its suites and still writes its report.
func interruptible(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
}

// endGroup ends what a command has left behind: a killed Ginkgo leaves its suites.
func endGroup(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // mostly there is nobody any more
	}
}
