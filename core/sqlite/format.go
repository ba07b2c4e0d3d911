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
const schemaVersion = 1

// format is what tells databases apart.
type format struct {
	application, version int64
	tables               int64 // and other objects in it
	runs                 bool  // whether it has the table of runs that versions before this format had
}

// empty reports whether nothing was ever stored.
func (f format) empty() bool { return f.tables == 0 && f.application == 0 && f.version == 0 }

// check returns why a database that is not empty cannot be used.
func (f format) check(path string) error {
	switch {
	case f.application == applicationID && f.version > schemaVersion:
		return &sqlitedb.ErrNewer{Path: path, Has: int(f.version), Know: schemaVersion}
	case f.application == applicationID && f.version == schemaVersion:
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

// readFormat reads the format by way of a connection.
func readFormat(ctx context.Context, db *sql.DB) (f format, err error) {
	err = db.QueryRowContext(ctx, `SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema),
		(SELECT count(*) FROM pragma_table_info('runs') WHERE name IN ('tenant', 'run', 'plan', 'epoch')) = 4
		FROM pragma_application_id, pragma_user_version`).Scan(&f.application, &f.version, &f.tables, &f.runs)
	return f, err
}

// refuseForeign returns an error when the file at c.path is a database of another format or
// another program. It looks before any connection is opened that could change a byte of
// the file: even the journal mode is kept in it.
func refuseForeign(ctx context.Context, c *sqlitedb.Connector) error {
	if info, err := os.Stat(c.Path); err != nil || info.Size() == 0 {
		return nil // it is missing or empty, or SQLite reports what is wrong
	}
	if sqlitedb.LocksStay() { // else closing the file would drop the locks of others in this process
		header, err := readHeader(c.Path)
		if err != nil {
			return nil // it is no database, which SQLite reports
		}
		if be32(header[68:]) == applicationID && be32(header[60:]) == schemaVersion {
			return nil
		}
	}
	// What was saved last may still be in the log: SQLite must read it.
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

// readHeader reads the header of a database.
func readHeader(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	header := make([]byte, 100)
	_, err = io.ReadFull(file, header)
	return header, errors.Join(err, file.Close())
}

// be32 reads a number of a database header.
func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// migrationFiles are the schema, one file for each version.
func migrationFiles() (fs.FS, error) { return fs.Sub(files, "migrations") }
