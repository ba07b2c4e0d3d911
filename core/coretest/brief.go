package coretest

import (
	"runtime/debug"
	"slices"
	"testing"
)

// Brief reports whether tests are to make a part of what they make else: with -short, and
// under the race detector, with which SQLite takes ten times as long.
func Brief() bool {
	info, ok := debug.ReadBuildInfo()
	return testing.Short() || ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
