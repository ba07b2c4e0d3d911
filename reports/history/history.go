package history

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// History stores runs in a SQLite file. Several goroutines may use a History, and several processes
// the file, at the same time: a writer waits up to 5 s for others. Durability is "process": an
// appended run survives the end of the process, but a power failure may lose the most recent runs.
type History struct {
	db     *sql.DB
	path   string
	censor Censor
}

//go:embed migrations/*.sql
var embedded embed.FS

// applicationID is PRAGMA application_id of a history, see the first migration. Histories of the
// programs before that migration, none of which was released, have olderID.
const (
	applicationID = 0x666c6a48
	olderID       = 0x666c6a68
)

// Open opens the history at path, and creates it and its folder if they do not exist. It checks that
// the file is intact and writable, so that a command fails before minutes of measuring rather than
// after. The error is a [*DamagedError], an [*InUseError], an [*UnwritableError], a [*ForeignError],
// an [*OlderError] or a [*sqlitedb.ErrNewer]. Open never deletes, renames or repairs a file.
func Open(ctx context.Context, path string) (*History, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, &UnwritableError{Path: path, Err: err}
	}
	if err := refuse(ctx, path); err != nil {
		return nil, err
	}
	db, err := sqlitedb.Open(path, sqlitedb.Process)
	if err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	h := &History{db: db, path: path}
	if err := h.check(ctx); err != nil {
		_ = db.Close() // the first error is the cause
		return nil, err
	}
	return h, nil
}

// OpenRecorded opens an existing history for reading. If the file is writable, it migrates the file
// as [Open] does. Otherwise it writes nothing, so that a history on a read-only file system can be
// shown; a history of an older version is an error then. Errors are those of Open.
func OpenRecorded(ctx context.Context, path string) (*History, error) {
	h, err := Open(ctx, path)
	var unwritable *UnwritableError
	if !errors.As(err, &unwritable) {
		return h, err
	}
	db, openErr := sqlitedb.OpenReadOnly(ctx, path)
	if openErr != nil {
		return nil, fmt.Errorf("%w; opening it for reading failed too: %w", err, openErr)
	}
	h = &History{db: db, path: path}
	if err := h.checkReading(ctx); err != nil {
		_ = db.Close() // the first error is the cause
		return nil, err
	}
	return h, nil
}

// checkReading does the checks of check that need no write access. The file must have the current
// version already, since it cannot be migrated.
func (h *History) checkReading(ctx context.Context) error {
	if err := h.sound(ctx); err != nil {
		return err
	}
	files, err := fs.Glob(embedded, "migrations/*.sql")
	if err != nil {
		return err
	}
	var version int
	if err := h.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return h.explain("read", err)
	}
	switch {
	case version > len(files):
		return &sqlitedb.ErrNewer{Path: h.path, Has: version, Know: len(files)}
	case version < len(files):
		return &UnwritableError{Path: h.path, Err: fmt.Errorf("it has version %d and must be migrated to version %d", version, len(files))}
	}
	return nil
}

// check checks and migrates the file. The check comes first, so that a damaged file is not changed.
func (h *History) check(ctx context.Context) error {
	if err := h.sound(ctx); err != nil {
		return err
	}
	migrations, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return err
	}
	if err := sqlitedb.Migrate(ctx, h.db, h.path, migrations); err != nil {
		return h.explain("open", err)
	}
	return h.writable(ctx)
}

// sound runs SQLite's quick_check, which reads every page of the file but does not compare indexes
// with their tables.
func (h *History) sound(ctx context.Context) error {
	rows, err := h.db.QueryContext(ctx, "PRAGMA quick_check(1)")
	if err != nil {
		return h.explain("check", err)
	}
	defer rows.Close()
	for rows.Next() {
		var finding string
		if err := rows.Scan(&finding); err != nil {
			return h.explain("check", err)
		}
		if finding != "ok" {
			return &DamagedError{Path: h.path, Err: errors.New(finding)}
		}
	}
	if err := rows.Err(); err != nil {
		return h.explain("check", err)
	}
	return nil
}

// refuse returns an error if the file is the database of another program, which a mistyped path may
// name, or a history in an older format. It reads the file through a connection that cannot change it:
// a connection that can write would already change the journal mode. Other faults are left to [Open].
func refuse(ctx context.Context, path string) error {
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return nil
	}
	db, err := sqlitedb.OpenReadOnly(ctx, path)
	if err != nil {
		return nil
	}
	defer db.Close()
	var id, tables int
	err = db.QueryRowContext(ctx,
		"SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id").Scan(&id, &tables)
	switch {
	case err != nil:
		return nil
	case id == olderID:
		return &OlderError{Path: path}
	case id != applicationID && (id != 0 || tables != 0):
		return &ForeignError{Path: path}
	}
	return nil
}

// writable writes a row and rolls back. Taking a lock alone would not detect a read-only file or
// folder.
func (h *History) writable(ctx context.Context) error {
	tx, err := h.db.BeginTx(ctx, nil) // BEGIN IMMEDIATE, see sqlitedb.Open
	if err != nil {
		return h.explain("write to", err)
	}
	defer tx.Rollback()
	_, err = tx.ExecContext(ctx, `INSERT INTO names (key, texts, sum) VALUES ('', '', 0)`)
	if err != nil {
		return h.explain("write to", err)
	}
	if err := tx.Rollback(); err != nil {
		return h.explain("write to", err)
	}
	return nil
}

// Close closes the file.
func (h *History) Close() error { return h.db.Close() }
