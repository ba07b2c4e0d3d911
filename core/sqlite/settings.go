package sqlite

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

	// unsynced is WAL with synchronous=OFF: see [OpenUnsynced].
	unsynced Durability = "unsynced"
)

// check refuses what is not for use.
func (d Durability) check() error {
	if d == Power || d == Process {
		return nil
	}
	return fmt.Errorf("durability %q: use %q or %q", string(d), Power, Process)
}

// synchronous is the value of the pragma, by number as SQLite reads it back.
func (d Durability) synchronous() (string, error) {
	switch d {
	case Power:
		return "2", nil
	case Process:
		return "1", nil
	case unsynced:
		return "0", nil
	}
	return "", d.check()
}

// setting is one pragma of a connection. They are made by statement, in this
// order, and read back: a pragma that SQLite does not take is no error to it.
type setting struct{ name, set, want string }

func settingsFor(d Durability, goos string) ([]setting, error) {
	level, err := d.synchronous()
	if err != nil {
		return nil, err
	}
	settings := []setting{
		{"busy_timeout", "5000", "5000"}, // first: the next ones may have to wait
		{"journal_mode", "WAL", "wal"},
		{"synchronous", level, level},
		{"foreign_keys", "ON", "1"},
		{"mmap_size", "0", "0"},
		{"trusted_schema", "OFF", "0"},
		{"wal_autocheckpoint", "1000", "1000"}, // see walBytes
	}
	if d == Power && goos == "darwin" { // there fsync leaves the data in the cache of the disk
		settings = append(settings, setting{"fullfsync", "ON", "1"}, setting{"checkpoint_fullfsync", "ON", "1"})
	}
	return settings, nil
}

// connector opens connections to one database file with the settings made and
// read back on each. It is a driver.Connector.
type connector struct {
	path       string
	durability Durability
	settings   []setting
	vfs        string // none: the system's own
}

// newConnector refuses names of no file, files of other machines, and locks that do not
// hold (see [ErrWeakLocks]).
func newConnector(path string, d Durability) (*connector, error) {
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
	return &connector{path: abs, durability: d, settings: settings}, nil
}

// OpenDB opens a pool of connections to the database file at path, each with the
// settings of this package made and read back. It is for databases beside the
// engine's own that want the same care; the file is created when it is missing.
func OpenDB(path string, d Durability) (*sql.DB, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	c, err := newConnector(path, d)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return &driversqlite.Driver{} }

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	parameters := []string{"_txlock=immediate"}
	if c.vfs != "" {
		parameters = append(parameters, "vfs="+c.vfs)
	}
	conn, err := c.Driver().Open(fileURI(c.path, parameters...))
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", c.path, err)
	}
	for _, s := range c.settings {
		got, err := pragma(ctx, conn, s)
		if err == nil && got != s.want {
			err = fmt.Errorf("%s is %q where %q is needed", s.name, got, s.want)
		}
		if err != nil {
			_ = conn.Close() // the first error is the one to tell
			return nil, fmt.Errorf("open database %s: %w", c.path, err)
		}
	}
	return conn, nil
}

// pragma makes a setting and reads it back.
func pragma(ctx context.Context, conn driver.Conn, s setting) (string, error) {
	if _, err := conn.(driver.ExecerContext).ExecContext(ctx, "PRAGMA "+s.name+"="+s.set, nil); err != nil {
		return "", fmt.Errorf("set %s: %w", s.name, err)
	}
	v, err := queryValue(ctx, conn, "PRAGMA "+s.name)
	if err != nil {
		return "", fmt.Errorf("read %s back: %w", s.name, err)
	}
	return fmt.Sprint(v), nil
}

// queryValue returns the first column of the first row, nil where there is none.
func queryValue(ctx context.Context, conn driver.Conn, query string) (driver.Value, error) {
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
