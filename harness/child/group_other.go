//go:build !unix

package child

import "os/exec"

// Group leaves the command unchanged: there are no process groups here, and a cancelled
// command is killed.
func Group(*exec.Cmd) {}

// EndGroup does nothing: there are no process groups here, and the number of a process that
// has ended may be that of another one.
func EndGroup(int) {}
