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

// History keeps runs in a SQLite file. It may be used by several goroutines, and the
// file by several processes at once: who writes waits up to five seconds for the
// others. Durability is "process": a run that was appended survives the death of the
// process; the last one may be lost with the power.
type History struct {
	db     *sql.DB
	path   string
	censor Censor
}

//go:embed migrations/*.sql
var embedded embed.FS

// applicationID is PRAGMA application_id of a history: see the first migration.
const applicationID = 0x666c6a68

// Open opens the history at path and creates it, with its folder, where it is
// missing. It finds out now what would otherwise fail after minutes of measuring:
// the error is a [*DamagedError], an [*InUseError], an [*UnwritableError], a
// [*ForeignError] or a [*sqlite.ErrNewer]. It never deletes, renames or repairs.
func Open(ctx context.Context, path string) (*History, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, &UnwritableError{Path: path, Err: err}
	}
	db, err := sqlitedb.Open(path, sqlitedb.Process)
	if err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	h := &History{db: db, path: path}
	if err := h.check(ctx); err != nil {
		_ = db.Close() // the first error is the one to tell
		return nil, err
	}
	return h, nil
}

// OpenRecorded opens a history that is there for reading: as [OpenHistory] does where it
// can be written, which brings it up to date, and else without writing anything, so that
// a history on a read-only file system is shown. One from an older version cannot be
// brought up to date there: the error says so. Errors are those of OpenHistory.
func OpenRecorded(ctx context.Context, path string) (*History, error) {
	h, err := Open(ctx, path)
	var unwritable *UnwritableError
	if !errors.As(err, &unwritable) {
		return h, err
	}
	db, openErr := sqlitedb.OpenReadOnly(ctx, path)
	if openErr != nil {
		return nil, fmt.Errorf("%w; nor can it be read where it lies: %w", err, openErr)
	}
	h = &History{db: db, path: path}
	if err := h.checkReading(ctx); err != nil {
		_ = db.Close() // the first error is the one to tell
		return nil, err
	}
	return h, nil
}

// checkReading is check without writing.
func (h *History) checkReading(ctx context.Context) error {
	if err := h.sound(ctx); err != nil {
		return err
	}
	if err := h.own(ctx); err != nil {
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
	old, err := has(ctx, h.db, "runs_v1")
	switch {
	case err != nil:
		return h.explain("read", err)
	case version > len(files):
		return &sqlitedb.ErrNewer{Path: h.path, Has: version, Know: len(files)}
	case version < len(files) || old:
		return &UnwritableError{Path: h.path, Err: fmt.Errorf("it has version %d and must be brought to version %d", version, len(files))}
	}
	return nil
}

// check looks before it touches: nothing is written into a file that is damaged or
// belongs to another program.
func (h *History) check(ctx context.Context) error {
	if err := h.sound(ctx); err != nil {
		return err
	}
	if err := h.own(ctx); err != nil {
		return err
	}
	migrations, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return err
	}
	if err := sqlitedb.Migrate(ctx, h.db, h.path, migrations); err != nil {
		return h.explain("open", err)
	}
	if err := h.carryOver(ctx); err != nil {
		return h.explain("carry over from version 1 in", err)
	}
	return h.writable(ctx)
}

// sound reads the whole file.
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

// own tells a history, or a new file, from the database of another program: one flag
// with a wrong path must not put tables into it.
func (h *History) own(ctx context.Context) error {
	var id, tables int
	err := h.db.QueryRowContext(ctx,
		"SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id").Scan(&id, &tables)
	if err != nil {
		return h.explain("check", err)
	}
	if id != applicationID && (id != 0 || tables != 0) {
		return &ForeignError{Path: h.path}
	}
	return nil
}

// writable writes and takes it back. A lock alone would not show that the file or
// its folder is read-only.
func (h *History) writable(ctx context.Context) error {
	tx, err := h.db.BeginTx(ctx, nil) // immediate: see sqlitedb.Open
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
