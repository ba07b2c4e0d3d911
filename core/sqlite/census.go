package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// Census is how much a database holds.
type Census struct {
	Runs     int64
	Finished int64 // runs that have ended, are paused or have stopped
	Records  int64 // of steps, the start of each run included
}

// Count opens the file at path and counts what is in it: the proof that saves were made,
// by somebody who did not make them. It changes nothing, and errors are those of
// [OpenReader].
func Count(ctx context.Context, path string) (c Census, err error) {
	r, err := OpenReader(ctx, path)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	err = r.db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM runs WHERE status != 1), (SELECT count(*) FROM steps)`).
		Scan(&c.Runs, &c.Finished, &c.Records)
	if err != nil {
		err = fmt.Errorf("count the runs in %s: %w", path, sqlitedb.Advise(err))
	}
	return c, err
}
