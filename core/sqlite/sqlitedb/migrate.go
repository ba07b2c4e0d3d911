package sqlitedb

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"slices"
)

// ErrNewer reports a database written by a newer version of this program. The database is
// unchanged.
type ErrNewer struct {
	Path      string
	Has, Know int // schema versions: of the file, and the highest that this program supports
}

func (e *ErrNewer) Error() string {
	return fmt.Sprintf("database %s has schema version %d, but this program supports versions up to %d: use a newer program; nothing was changed",
		e.Path, e.Has, e.Know)
}

// Migrate applies the *.sql files in migrations, in the order of their names, that the database
// lacks. Each file is one transaction, which also increments PRAGMA user_version, the number of
// files applied. Released files must never change. A database with a higher version is an
// [*ErrNewer]. Processes that migrate at the same time wait for each other.
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
	// The first read takes no write lock, so that an up-to-date file may be read-only.
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&has); err != nil {
		return false, fmt.Errorf("read the version of database %s: %w", path, err)
	}
	if has < 0 {
		return false, fmt.Errorf("database %s has schema version %d, which this program never writes: it belongs to another program; name another file", path, has)
	}
	if has > len(names) {
		return false, &ErrNewer{Path: path, Has: has, Know: len(names)}
	}
	if has == len(names) {
		return true, nil
	}
	tx, err := db.BeginTx(ctx, nil) // BEGIN IMMEDIATE because of _txlock in Connect
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
