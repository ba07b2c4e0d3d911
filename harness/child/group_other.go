//go:build !unix

package child

import "os/exec"

// Group leaves the command unchanged: this system has no process groups. A cancelled command
// is killed.
func Group(*exec.Cmd) {}

// EndGroup does nothing: this system has no process groups, and the ID of a process that has
// ended may already belong to another process.
func EndGroup(int) {}
