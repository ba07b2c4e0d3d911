package sqlitedb

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"slices"
)

// ErrNewer is a database written by a newer version of this program.
type ErrNewer struct {
	Path      string
	Has, Know int // schema versions
}

func (e *ErrNewer) Error() string {
	return fmt.Sprintf("database %s has schema version %d, this program knows up to %d: use a newer program; nothing was changed",
		e.Path, e.Has, e.Know)
}

// Migrate brings a database to the version of the last file in migrations, one
// transaction each, counted in PRAGMA user_version. The files are applied in
// the order of their names and are never changed once released. A newer
// database is an [*ErrNewer]. Processes that migrate at once wait for each other.
func Migrate(ctx context.Context, db *sql.DB, path string, migrations fs.FS) error {
	names, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return err
	}
	slices.Sort(names)
	for {
		done, err := migrateOne(ctx, db, path, migrations, names)
		if err != nil || done {
			return err
		}
	}
}

func migrateOne(ctx context.Context, db *sql.DB, path string, migrations fs.FS, names []string) (done bool, err error) {
	var has int
	// Looked at first without a lock, so that an up-to-date file is only read.
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&has); err != nil {
		return false, fmt.Errorf("read the version of database %s: %w", path, err)
	}
	if has < 0 {
		return false, fmt.Errorf("database %s has schema version %d, which this program never writes: name another file", path, has)
	}
	if has > len(names) {
		return false, &ErrNewer{Path: path, Has: has, Know: len(names)}
	}
	if has == len(names) {
		return true, nil
	}
	tx, err := db.BeginTx(ctx, nil) // immediate: see _txlock
	if err != nil {
		return false, fmt.Errorf("migrate database %s: %w", path, err)
	}
	defer tx.Rollback()
	var now int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&now); err != nil {
		return false, fmt.Errorf("read the version of database %s: %w", path, err)
	}
	if now != has {
		return false, nil // another process was faster
	}
	script, err := fs.ReadFile(migrations, names[has])
	if err != nil {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, string(script)); err != nil {
		return false, fmt.Errorf("migrate database %s by %s: %w", path, names[has], err)
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version=%d", has+1)); err != nil {
		return false, fmt.Errorf("migrate database %s by %s: %w", path, names[has], err)
	}
	if err := tx.Commit(); err != nil {
		return false, fmt.Errorf("migrate database %s by %s: %w", path, names[has], err)
	}
	return false, nil
}
