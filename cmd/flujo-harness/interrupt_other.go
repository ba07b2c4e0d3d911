//go:build !unix

package main

import "os/exec"

// interruptible leaves the command as it is: there are no process groups to
// interrupt here, and a cancelled command is ended.
func interruptible(*exec.Cmd) {}

// endGroup has nothing to end: see interruptible.
func endGroup(*exec.Cmd) {}
