// Package probe lets package sqlitebench observe a backend of package sqlite, so that programs that
// only save do not contain the measuring code.
package probe

import "database/sql/driver"

// Probe holds additional options for opening a backend. The zero value changes nothing.
type Probe struct {
	VFS  string                        // VFS with which SQLite opens the files; "" is the default one
	Conn func(driver.Conn) driver.Conn // wraps the connection of the writer; nil changes nothing
}
