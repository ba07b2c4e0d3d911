//go:build !linux

package harness

import (
	"context"
	"os/exec"
)

// useOf is not known on this system.
func useOf(context.Context, benchOrder) (u use, known bool) { return use{}, false }

// useOfProcess is not known on this system.
func useOfProcess(*exec.Cmd) (u use, known bool) { return use{}, false }
