//go:build !linux

package harness

import (
	"context"
	"os/exec"
)

// useOf reports that the use is unknown on this system.
func useOf(context.Context, benchOrder) (u use, known bool) { return use{}, false }

// useOfProcess reports that the use is unknown on this system.
func useOfProcess(*exec.Cmd) (u use, known bool) { return use{}, false }

// threadsOf reports no threads: their use is unknown on this system.
func threadsOf(int) map[string]threadUse { return nil }
