//go:build !linux

package child

import (
	"os"
	"syscall"
)

const kernelEndsChildren = false

// running reports whether the process exists.
func running(pid int) bool {
	p, err := os.FindProcess(pid)
	return err == nil && p.Signal(syscall.Signal(0)) == nil
}
