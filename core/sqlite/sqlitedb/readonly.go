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

// ErrHotLog reports that a database cannot be read in its folder: it has changes in its WAL, and
// the shared index (-shm file) that SQLite needs to read them can be neither opened nor created.
var ErrHotLog = errors.New("the last changes are in its -wal file, and SQLite can read them only in a writable folder: copy the database together with its -wal file to a writable folder")

// OpenReadOnly opens a pool of connections that only read the database file at path. It does not
// create, migrate or repair anything. The error of a missing file wraps [fs.ErrNotExist].
//
// SQLite reads a database in WAL mode through a shared index next to it (-shm file). If that
// index does not exist and cannot be created, because the file system or the folder is
// read-only, the file is opened as immutable. SQLite ignores the WAL of an immutable database,
// so this is done only if there is no WAL; otherwise the error wraps [ErrHotLog]. See
// https://www.sqlite.org/wal.html, section 5.
func OpenReadOnly(ctx context.Context, path string) (*sql.DB, error) {
	c, err := NewConnector(path, Process)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(c.Path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fs.ErrNotExist // err already contains the path
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

// ReadOnly returns a connector for connections that do not write. It can read a database that is
// in use and one that was closed properly.
func (c *Connector) ReadOnly() driver.Connector { return &lookOnly{Connector: c, quiet: quiet(c.Path)} }

// openToRead opens a pool and reads the schema, which fails if the WAL cannot be read. failure
// is the error of the read; the pool is then closed, and err is the error of closing it.
func openToRead(ctx context.Context, c *lookOnly) (db *sql.DB, failure, err error) {
	db = sql.OpenDB(c)
	var n int
	if failure = db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n); failure != nil {
		return nil, failure, db.Close()
	}
	return db, nil, nil
}

// quiet reports whether the database has neither a WAL nor a rollback journal: it was closed
// properly and is not in use.
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
	immutable bool // no process writes the file, and it has no WAL
}

// Connect implements driver.Connector. If there is a WAL, the connection uses mode=ro, because a
// read-write connection would checkpoint the WAL when it closes. If there is none, it uses
// mode=rw with query_only: there is nothing to checkpoint, and only a read-write connection
// removes the -wal and -shm files that SQLite creates.
func (c *lookOnly) Connect(ctx context.Context) (driver.Conn, error) {
	parameters := []string{"mode=ro"}
	if c.quiet {
		parameters[0] = "mode=rw" // does not create the file
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
		{"cell_size_check", "ON", "1"}, // a damaged page is an error rather than a wrong result
	}
	if c.quiet { // mode=ro and immutable already refuse writes, and query_only would prevent VACUUM INTO
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
