package sqlitedb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	driversqlite "modernc.org/sqlite"
)

// Durability states which failures a save survives once it has returned.
type Durability string

const (
	// Power is WAL with synchronous=FULL: a save survives a loss of power.
	Power Durability = "power"
	// Process is WAL with synchronous=NORMAL: a save survives kill -9 of the process. A loss of
	// power may lose the last saves but does not corrupt the file.
	Process Durability = "process"

	// Unsynced is WAL with synchronous=OFF: a loss of power may lose saves and corrupt the
	// file. It exists to measure the cost of the other parts of a save.
	Unsynced Durability = "unsynced"
)

// Check returns an error unless d is Power or Process, the levels that keep a promise.
func (d Durability) Check() error {
	if d == Power || d == Process {
		return nil
	}
	return fmt.Errorf("durability %q: use %q or %q", string(d), Power, Process)
}

// Synchronous returns the value of PRAGMA synchronous as the number that SQLite reports.
func (d Durability) Synchronous() (string, error) {
	switch d {
	case Power:
		return "2", nil
	case Process:
		return "1", nil
	case Unsynced:
		return "0", nil
	}
	return "", d.Check()
}

// Setting is a pragma of a connection: its name, the value to set, and the value that SQLite
// must then report. Reading it back is necessary because SQLite ignores unknown pragmas and
// invalid values without an error.
type Setting struct{ Name, Set, Want string }

func settingsFor(d Durability, goos string) ([]Setting, error) {
	level, err := d.Synchronous()
	if err != nil {
		return nil, err
	}
	settings := []Setting{
		{"busy_timeout", "5000", "5000"}, // in ms; first, because the next ones may have to wait for a lock
		{"journal_mode", "WAL", "wal"},
		{"synchronous", level, level},
		{"foreign_keys", "ON", "1"},
		{"mmap_size", "0", "0"},
		{"trusted_schema", "OFF", "0"},
		{"wal_autocheckpoint", "1000", "1000"}, // in pages, SQLite's default
	}
	if d == Power && goos == "darwin" { // fsync there does not flush the disk's cache (fsync(2), F_FULLFSYNC)
		settings = append(settings, Setting{"fullfsync", "ON", "1"}, Setting{"checkpoint_fullfsync", "ON", "1"})
	}
	return settings, nil
}

// Connector is a driver.Connector for one database file. It applies Settings, in order, to every
// connection and reads them back.
type Connector struct {
	Path       string
	Durability Durability
	Settings   []Setting
	Vfs        string // SQLite VFS; empty is the default of the system
}

// maxPath is the maximum length of an absolute path, in bytes. SQLite has room for 512, of which
// the name of the journal takes 8: MAX_PATHNAME in its os_unix.c.
const maxPath = 504

// NewConnector returns a connector for the database file at path, which is created if missing.
// It is an error if path is a URI, too long, or names an in-memory database, if the file is on a network
// file system, or if locks are unreliable ([ErrWeakLocks]).
func NewConnector(path string, d Durability) (*Connector, error) {
	settings, err := settingsFor(d, runtime.GOOS)
	if err != nil {
		return nil, err
	}
	if path == "" || strings.Contains(path, ":memory:") {
		return nil, fmt.Errorf("open database %q: name a file: a database in memory is not durable", path)
	}
	if strings.HasPrefix(path, "file:") || strings.Contains(path, "\x00") {
		return nil, fmt.Errorf("open database %q: name a file by its path, not by a URI, and without zero bytes", path)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	if runtime.GOOS != "windows" && len(abs) > maxPath {
		return nil, fmt.Errorf("open database %s: the path has %d bytes, and SQLite opens at most %d: name a file with a shorter path", path, len(abs), maxPath)
	}
	if err := errors.Join(requireLocks(abs), refuseNetwork(abs, filesystem)); err != nil {
		return nil, err
	}
	return &Connector{Path: abs, Durability: d, Settings: settings}, nil
}

// Open opens a pool of connections to the database file at path, which is created if missing.
// Every connection has the settings of this package. The caller closes the pool.
func Open(path string, d Durability) (*sql.DB, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	c, err := NewConnector(path, d)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

// Driver implements driver.Connector.
func (c *Connector) Driver() driver.Driver { return &driversqlite.Driver{} }

// Connect implements driver.Connector.
func (c *Connector) Connect(ctx context.Context) (driver.Conn, error) {
	parameters := []string{"_txlock=immediate"}
	if c.Vfs != "" {
		parameters = append(parameters, "vfs="+c.Vfs)
	}
	conn, err := c.Driver().Open(fileURI(c.Path, parameters...))
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", c.Path, err)
	}
	for _, s := range c.Settings {
		got, err := Pragma(ctx, conn, s)
		if err == nil && got != s.Want {
			err = fmt.Errorf("%s is %q where %q is needed", s.Name, got, s.Want)
		}
		if err != nil {
			_ = conn.Close() // the first error is the cause
			return nil, fmt.Errorf("open database %s: %w", c.Path, err)
		}
	}
	return conn, nil
}

// Pragma applies a setting and returns the value that SQLite reports afterwards.
func Pragma(ctx context.Context, conn driver.Conn, s Setting) (string, error) {
	if _, err := conn.(driver.ExecerContext).ExecContext(ctx, "PRAGMA "+s.Name+"="+s.Set, nil); err != nil {
		return "", fmt.Errorf("set %s: %w", s.Name, err)
	}
	v, err := QueryValue(ctx, conn, "PRAGMA "+s.Name)
	if err != nil {
		return "", fmt.Errorf("read %s back: %w", s.Name, err)
	}
	return fmt.Sprint(v), nil
}

// QueryValue returns the first column of the first row, or nil if the result has no columns. A
// result without rows is [io.EOF].
func QueryValue(ctx context.Context, conn driver.Conn, query string) (driver.Value, error) {
	rows, err := conn.(driver.QueryerContext).QueryContext(ctx, query, nil)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	row := make([]driver.Value, len(rows.Columns()))
	if len(row) == 0 {
		return nil, nil
	}
	if err := rows.Next(row); err != nil {
		return nil, err
	}
	return row[0], nil
}
