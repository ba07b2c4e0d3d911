package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrHotLog is a database that cannot be read where it lies: it has changes in its log,
// and the index that SQLite keeps next to it can be neither found nor made.
var ErrHotLog = errors.New("the last changes are in its -wal file, and the folder cannot be written to read them: copy it, with the -wal file, to a folder that can be")

// OpenReadOnly opens a pool of connections that only read the database file at path, and
// create nothing next to it where that is not possible: on a file system that is mounted
// read-only, or in a folder without the right to write. The file must be there.
//
// SQLite reads a database in WAL mode by a shared index next to it. Where there is none
// and none can be made, the file is taken as immutable, but only if it has no log: a log
// may hold the last changes, and SQLite would ignore it. Then the error is [ErrHotLog].
func OpenReadOnly(ctx context.Context, path string) (*sql.DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	c, err := newConnector(path, Process)
	if err != nil {
		return nil, err
	}
	c.settings = []setting{
		{"busy_timeout", "5000", "5000"},
		{"foreign_keys", "ON", "1"},
		{"mmap_size", "0", "0"},
		{"trusted_schema", "OFF", "0"},
	}
	c.parameters = []string{"mode=ro"}
	db := sql.OpenDB(c)
	first := readable(ctx, db)
	if first == nil {
		return db, nil
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	switch info, err := os.Stat(c.path + "-wal"); {
	case err == nil && info.Size() > 0:
		return nil, fmt.Errorf("open database %s: %w (%w)", path, ErrHotLog, first)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	c.parameters = []string{"mode=ro", "immutable=1"}
	db = sql.OpenDB(c)
	if err := readable(ctx, db); err != nil {
		_ = db.Close() // the first error is the one to report
		return nil, err
	}
	return db, nil
}

// readable reads the schema, which needs the log.
func readable(ctx context.Context, db *sql.DB) error {
	var n int
	return db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n)
}
