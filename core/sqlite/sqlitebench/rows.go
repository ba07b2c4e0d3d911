package sqlitebench

import (
	"context"
	"errors"
	"fmt"

	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// CountRows opens the file at path and counts what is in it: the proof that saves were made,
// by somebody who did not make them. It changes nothing, and errors are those of
// [sqlite.OpenReader].
func CountRows(ctx context.Context, path string) (c corebench.RowCounts, err error) {
	r, err := sqlite.OpenReader(ctx, path) // refuses what is no database of runs, or another version's
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	db, err := sqlitedb.OpenReadOnly(ctx, path)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM runs WHERE status != 1), (SELECT count(*) FROM steps)`).
		Scan(&c.Runs, &c.Finished, &c.Records)
	if err != nil {
		err = fmt.Errorf("count the runs in %s: %w", path, sqlitedb.Advise(err))
	}
	return c, err
}
