package sqlitebench

import (
	"context"
	"errors"
	"fmt"

	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// CountRows opens the file at path and counts its rows. It is an independent check that saves were
// made. It changes nothing. Its errors are those of [sqlite.OpenReader].
func CountRows(ctx context.Context, path string) (c corebench.RowCounts, err error) {
	r, err := sqlite.OpenReader(ctx, path) // an error if it is not a database of runs, or has another version
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
