//go:build !linux

package harness

import "context"

// useOf is not known on this system.
func useOf(context.Context, benchOrder) (u use, known bool) { return use{}, false }
