package sqlitedb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"

	lib "modernc.org/sqlite/lib"
)

// ErrHotLog is a database that cannot be read where it lies: it has changes in its log,
// and the index that SQLite keeps next to it can be neither found nor made.
var ErrHotLog = errors.New("the last changes are in its -wal file, and the folder cannot be written to read them: copy it, with the -wal file, to a folder that can be")

// OpenReadOnly opens a pool of connections that only read the database file at path. It
// creates, migrates and repairs nothing. A missing file is [fs.ErrNotExist].
//
// SQLite reads a database in WAL mode by a shared index next to it. Where there is none
// and none can be made, because the file system is mounted read-only or the folder may not
// be written, the file is taken as immutable, but only if it has no log: a log may hold
// the last changes, and SQLite would ignore it. Then the error is [ErrHotLog].
func OpenReadOnly(ctx context.Context, path string) (*sql.DB, error) {
	c, err := NewConnector(path, Process)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(c.Path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fs.ErrNotExist // with the path once
		}
		return nil, fmt.Errorf("no database at %s: %w", path, err)
	}
	db, first, err := openToRead(ctx, &lookOnly{Connector: c, quiet: info.Mode().Perm()&0o222 != 0 && quiet(c.Path)})
	if first == nil || err != nil {
		return db, err
	}
	fail := func(err error) (*sql.DB, error) { return nil, fmt.Errorf("open database %s: %w", path, err) }
	if kind := Code(first) & 0xff; kind != lib.SQLITE_CANTOPEN && kind != lib.SQLITE_READONLY {
		return fail(Advise(first))
	}
	switch info, err := os.Stat(c.Path + "-wal"); {
	case err == nil && info.Size() > 0:
		return fail(fmt.Errorf("%w (%w)", ErrHotLog, first))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fail(err)
	}
	db, again, err := openToRead(ctx, &lookOnly{Connector: c, immutable: true})
	if again != nil {
		return fail(Advise(first))
	}
	return db, err
}

// ReadOnly is c for connections that do not write. A database that is in use can be read,
// and one that was closed in order.
func (c *Connector) ReadOnly() driver.Connector { return &lookOnly{Connector: c, quiet: quiet(c.Path)} }

// openToRead opens a pool and reads the schema, which needs the log. Where that fails
// the pool is closed; err is a failure to do so.
func openToRead(ctx context.Context, c *lookOnly) (db *sql.DB, failure, err error) {
	db = sql.OpenDB(c)
	var n int
	if failure = db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n); failure != nil {
		return nil, failure, db.Close()
	}
	return db, nil, nil
}

// quiet reports that no journal lies next to the database: it was closed in order, and
// nobody has it open.
func quiet(path string) bool {
	for _, end := range []string{"-wal", "-journal"} {
		if _, err := os.Lstat(path + end); !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}

// lookOnly opens connections that do not write.
type lookOnly struct {
	*Connector
	quiet     bool
	immutable bool // nobody writes the file, and it has no log
}

// Connect implements driver.Connector. A read-only connection leaves a journal
// unchanged, where one of another mode would move it into the database when it closes.
// But it cannot remove the files that it creates next to a quiet database; there is
// nothing to move then, and the other mode leaves no trace.
func (c *lookOnly) Connect(ctx context.Context) (driver.Conn, error) {
	parameters := []string{"mode=ro"}
	if c.quiet {
		parameters[0] = "mode=rw" // never creates the file
	}
	if c.immutable {
		parameters = append(parameters, "immutable=1")
	}
	conn, err := c.Driver().Open(fileURI(c.Path, parameters...))
	if err != nil {
		return nil, err
	}
	settings := []Setting{
		{"busy_timeout", "5000", "5000"},
		{"mmap_size", "0", "0"},
		{"trusted_schema", "OFF", "0"},
		{"cell_size_check", "ON", "1"}, // a damaged page is an error, not a wrong answer
	}
	if c.quiet { // the other modes refuse to write by themselves, and allow VACUUM INTO
		settings = append(settings, Setting{"query_only", "ON", "1"})
	}
	for _, s := range settings {
		got, err := Pragma(ctx, conn, s)
		if err == nil && got != s.Want {
			err = fmt.Errorf("%s is %q where %q is needed", s.Name, got, s.Want)
		}
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}
