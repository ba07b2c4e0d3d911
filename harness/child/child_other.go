//go:build !linux

package child

import "os/exec"

// endWithParent does nothing: this system has no parent-death signal. Tie and Group work here.
func endWithParent(*exec.Cmd) {}
