//go:build !linux

package child

import "os/exec"

// CPUs returns nil: this system cannot restrict a child to one processor.
func CPUs() []int { return nil }

// RunOn calls [Run]: this system cannot restrict a child to one processor.
func RunOn(cmd *exec.Cmd, _ int) error { return Run(cmd) }
