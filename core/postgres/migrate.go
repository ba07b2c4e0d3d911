package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed migrations/*.sql
var files embed.FS

// ErrNewer is the error for a schema that a newer version of this program wrote.
type ErrNewer struct {
	Place     string // host and database
	Schema    string
	Has, Know int // versions
}

func (e *ErrNewer) Error() string {
	return fmt.Sprintf("schema %q of database %s has version %d, this program knows up to %d: use a newer program; nothing was changed",
		e.Schema, e.Place, e.Has, e.Know)
}

// rows is a pool or a transaction.
type rows interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

// migrationNames returns the names of the files of the schema, one for each version, in order.
// Released files are never changed.
func migrationNames() ([]string, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	slices.Sort(names)
	return names, err
}

// version reads the version of the schema; 0 means that it has no tables of this package. It is an
// error if there is a table of runs that this package did not create.
func (s *server) version(ctx context.Context, db rows) (has int, err error) {
	names, err := migrationNames()
	if err != nil {
		return 0, err
	}
	var meta, runs bool
	// This reads the catalogue because to_regclass may use a snapshot from before the lock.
	err = db.QueryRow(ctx, `SELECT coalesce(bool_or(c.relname = 'flujo_version'), false), coalesce(bool_or(c.relname = 'runs'), false)
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1`, s.schema).Scan(&meta, &runs)
	switch {
	case err != nil:
		return 0, err
	case !meta && runs:
		return 0, fmt.Errorf("schema %q has a table runs of another program: name another schema by search_path; nothing was changed", s.schema)
	case !meta:
		return 0, nil
	}
	if err := db.QueryRow(ctx, `SELECT max(version) FROM `+s.quoted()+`.flujo_version`).Scan(&has); err != nil {
		return 0, err
	}
	if has > len(names) {
		return 0, &ErrNewer{s.place, s.schema, has, len(names)}
	}
	return has, nil
}

// migrate brings the schema to the newest version, with a transaction for each step. If another
// client is migrating, it waits.
func (s *server) migrate(ctx context.Context, pool *pgxpool.Pool) error {
	names, err := migrationNames()
	if err != nil {
		return err
	}
	has, err := s.version(ctx, pool) // first without a lock, which also works without the right to create tables
	if err != nil || has == len(names) {
		return err
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		h := fnv.New64a()
		h.Write([]byte("flujo migrations of " + s.schema))
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(h.Sum64())); err != nil {
			return err
		}
		has, err := s.version(ctx, tx)
		if err != nil {
			return err
		}
		if has == 0 {
			err := s.exec(ctx, tx, `CREATE SCHEMA IF NOT EXISTS `+s.quoted(), `CREATE TABLE @.flujo_version (version int PRIMARY KEY)`)
			if err != nil {
				return err
			}
		}
		for i, name := range names[has:] {
			script, err := fs.ReadFile(files, name)
			if err == nil {
				err = s.exec(ctx, tx, string(script), fmt.Sprintf(`INSERT INTO @.flujo_version VALUES (%d)`, has+i+1))
			}
			if err != nil {
				return fmt.Errorf("migrate schema %q by %s: %w", s.schema, name, err)
			}
		}
		return nil
	})
}

// exec runs scripts with several statements.
func (s *server) exec(ctx context.Context, tx pgx.Tx, scripts ...string) error {
	var errs []error
	for _, script := range scripts {
		if _, err := tx.Exec(ctx, qualify(script, s.quoted()), pgx.QueryExecModeSimpleProtocol); err != nil {
			errs = append(errs, err)
			break
		}
	}
	return errors.Join(errs...)
}
