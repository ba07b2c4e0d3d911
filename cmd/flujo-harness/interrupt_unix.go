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
