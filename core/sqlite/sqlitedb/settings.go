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

// Durability is what a save survives once it has returned.
type Durability string

const (
	// Power is WAL with synchronous=FULL: a save survives the loss of power.
	Power Durability = "power"
	// Process is WAL with synchronous=NORMAL: a save survives kill -9 of the
	// process; the last ones may be lost with the power. The file stays intact.
	Process Durability = "process"

	// Unsynced is WAL with synchronous=OFF: a save survives nothing but the ordinary end
	// of the process. It is there to measure what the rest of a save costs.
	Unsynced Durability = "unsynced"
)

// Check refuses what no promise can be kept with: all but Power and Process.
func (d Durability) Check() error {
	if d == Power || d == Process {
		return nil
	}
	return fmt.Errorf("durability %q: use %q or %q", string(d), Power, Process)
}

// Synchronous is the value of the pragma, by number as SQLite reads it back.
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

// Setting is one pragma of a connection. They are made by statement, in this
// order, and read back: a pragma that SQLite does not take is no error to it.
type Setting struct{ Name, Set, Want string }

func settingsFor(d Durability, goos string) ([]Setting, error) {
	level, err := d.Synchronous()
	if err != nil {
		return nil, err
	}
	settings := []Setting{
		{"busy_timeout", "5000", "5000"}, // first: the next ones may have to wait
		{"journal_mode", "WAL", "wal"},
		{"synchronous", level, level},
		{"foreign_keys", "ON", "1"},
		{"mmap_size", "0", "0"},
		{"trusted_schema", "OFF", "0"},
		{"wal_autocheckpoint", "1000", "1000"}, // see walBytes
	}
	if d == Power && goos == "darwin" { // there fsync leaves the data in the cache of the disk
		settings = append(settings, Setting{"fullfsync", "ON", "1"}, Setting{"checkpoint_fullfsync", "ON", "1"})
	}
	return settings, nil
}

// Connector opens connections to one database file with the settings made and
// read back on each. It is a driver.Connector.
type Connector struct {
	Path       string
	Durability Durability
	Settings   []Setting
	Vfs        string // none: the system's own
}

// NewConnector refuses names of no file, files of other machines, and locks that do not
// hold (see [ErrWeakLocks]).
func NewConnector(path string, d Durability) (*Connector, error) {
	settings, err := settingsFor(d, runtime.GOOS)
	if err != nil {
		return nil, err
	}
	if path == "" || strings.Contains(path, ":memory:") {
		return nil, fmt.Errorf("open database %q: a file is needed: nothing in memory is durable", path)
	}
	if strings.HasPrefix(path, "file:") || strings.Contains(path, "\x00") {
		return nil, fmt.Errorf("open database %q: the path of a file is needed, not a URI, and without zero bytes", path)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	if err := errors.Join(requireLocks(abs), refuseNetwork(abs, filesystem)); err != nil {
		return nil, err
	}
	return &Connector{Path: abs, Durability: d, Settings: settings}, nil
}

// Open opens a pool of connections to the database file at path, each with the
// settings of this package made and read back. It is for databases beside the
// engine's own that want the same care; the file is created when it is missing.
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
			_ = conn.Close() // the first error is the one to tell
			return nil, fmt.Errorf("open database %s: %w", c.Path, err)
		}
	}
	return conn, nil
}

// Pragma makes a setting and reads it back.
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

// QueryValue returns the first column of the first row, nil where there is none.
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
