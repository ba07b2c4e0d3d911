package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// applicationID is written into the header of every database of runs: "fljo".
const applicationID = 0x666c6a6f

// schemaVersion is the number of migrations, kept in PRAGMA user_version.
const schemaVersion = 2

// format identifies the program and the version that wrote a database.
type format struct {
	application, version int64
	tables               int64 // number of tables and other objects
	runs                 bool  // it has the table of runs of versions before this format
}

// empty reports whether nothing was ever stored in the database.
func (f format) empty() bool { return f.tables == 0 && f.application == 0 && f.version == 0 }

// check returns an error if a database that is not empty cannot be used.
func (f format) check(path string) error {
	switch {
	case f.application == applicationID && f.version > schemaVersion:
		return &sqlitedb.ErrNewer{Path: path, Has: int(f.version), Know: schemaVersion}
	case f.application == applicationID && f.version >= 1:
		return nil
	case f.application == applicationID:
		return fmt.Errorf("database %s has schema version %d, which this program never writes: name another file; nothing was changed", path, f.version)
	case f.application == 0 && f.runs:
		return fmt.Errorf("database %s has runs in an older format (schema version %d), which this program cannot read: "+
			"let the program that wrote it take its runs to their end, or move the file away to begin with a new one; nothing was changed", path, f.version)
	}
	return fmt.Errorf("database %s holds no runs of an engine (it may be another program's, or the history of flujo-harness): "+
		"name the one that was given to sqlite.Open; nothing was changed", path)
}

// readFormat reads the format with SQL.
func readFormat(ctx context.Context, db *sql.DB) (f format, err error) {
	err = db.QueryRowContext(ctx, `SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema),
		(SELECT count(*) FROM pragma_table_info('runs') WHERE name IN ('tenant', 'run', 'plan', 'epoch')) = 4
		FROM pragma_application_id, pragma_user_version`).Scan(&f.application, &f.version, &f.tables, &f.runs)
	return f, err
}

// refuseForeign returns an error if the file at c.Path is a database of another format or of
// another program. It runs before any connection is opened that could change the file: even
// setting the journal mode does.
func refuseForeign(ctx context.Context, c *sqlitedb.Connector) error {
	if info, err := os.Stat(c.Path); err != nil || info.Size() == 0 {
		return nil // it is missing or empty, or SQLite reports what is wrong
	}
	if sqlitedb.LocksStay() { // otherwise closing the file would release all locks of this process on it
		header, err := readHeader(c.Path)
		if err != nil {
			return nil // not a database: SQLite reports that
		}
		if be32(header[68:]) == applicationID && be32(header[60:]) == schemaVersion {
			return nil
		}
	}
	// The latest changes may still be in the log, so SQLite must read the format.
	db := sql.OpenDB(c.ReadOnly())
	f, err := readFormat(ctx, db)
	if err := errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("open database %s: %w", c.Path, err)
	}
	if f.empty() {
		return nil
	}
	return f.check(c.Path)
}

// readHeader reads the 100 bytes of the header of a database.
func readHeader(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	header := make([]byte, 100)
	_, err = io.ReadFull(file, header)
	return header, errors.Join(err, file.Close())
}

// be32 decodes a number of the header.
func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// migrationFiles returns the files of the schema, one for each version.
func migrationFiles() (fs.FS, error) { return fs.Sub(files, "migrations") }
