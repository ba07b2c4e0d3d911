package coretest

import (
	"runtime/debug"
	"slices"
	"testing"
)

// Brief reports whether tests should run a reduced workload: with -short, and under the race
// detector, which makes SQLite about ten times slower.
func Brief() bool {
	info, ok := debug.ReadBuildInfo()
	return testing.Short() || ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
