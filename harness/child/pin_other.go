//go:build !linux

package child

import (
	"os/exec"
	"time"
)

// CPUs returns nil: this system cannot restrict a child to one processor.
func CPUs() []int { return nil }

// RunOn calls [Run]: this system cannot restrict a child to one processor.
func RunOn(cmd *exec.Cmd, _ int) error { return Run(cmd) }

// CPUTime returns 0: this system does not tell how long another process has used its processors.
func CPUTime(int) time.Duration { return 0 }
