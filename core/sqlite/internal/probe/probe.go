// Package probe lets package sqlitebench observe a backend of package sqlite, so that programs that
// only save do not contain the measuring code.
package probe

import "database/sql/driver"

// Probe holds additional options for opening a backend. The zero value changes nothing.
type Probe struct {
	VFS  string                        // VFS with which SQLite opens the files; "" is the default one
	Conn func(driver.Conn) driver.Conn // wraps the connection of the writer; nil changes nothing
	// Commit, if not nil, is set to a function that executes a transaction on Conn in place of a save,
	// with the number of pages that it writes.
	Commit *func(pages int, tx func() error) error
}

// Pages estimates how many pages of the log a statement writes whose blobs have n bytes.
func Pages(n int) int { return 1 + n/4096 }
