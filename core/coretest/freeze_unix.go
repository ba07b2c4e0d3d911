//go:build unix

package coretest

import (
	"fmt"
	"syscall"
)

const canFreeze = true

// suspend stops a child and returns once it has stopped.
func suspend(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(pid, &status, syscall.WUNTRACED, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return err
		case status.Stopped():
			return nil
		default:
			return fmt.Errorf("process %d ended (%v) instead of stopping", pid, status)
		}
	}
}

func wakeUp(pid int) error { return syscall.Kill(pid, syscall.SIGCONT) }
