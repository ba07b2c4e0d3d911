//go:build !linux && !darwin && !windows

package sqlitedb

// filesystem returns unknownStorage: this system has no supported means to determine it.
func filesystem(string) (string, storage, error) { return "", unknownStorage, nil }
