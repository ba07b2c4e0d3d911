// Package probe is how package sqlitebench looks into a backend of package sqlite, so that
// programs that only save do not carry what measures.
package probe

import "database/sql/driver"

// Probe is what a backend is opened with in addition. The zero value changes nothing.
type Probe struct {
	VFS  string                        // by which SQLite opens the files; "": the system's own
	Conn func(driver.Conn) driver.Conn // returns what the writer uses in place of its connection; nil: the connection
}
