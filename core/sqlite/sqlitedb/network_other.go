//go:build !linux && !darwin && !windows

package sqlitedb

// filesystem cannot be found out here.
func filesystem(string) (string, storage, error) { return "", unknownStorage, nil }
