package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// Reader reads a database of the engine and cannot change it: the file is not
// created, migrated or repaired. Engines may save to it at the same time. The
// methods of a Reader may be called from several goroutines.
type Reader struct {
	db   *sql.DB
	path string
}

// OpenReader opens the database at path. The error for a missing file is
// [fs.ErrNotExist], and that for a database of a newer version is [*ErrNewer].
// Databases of older versions or of other programs are refused too. A read-only
// file system is allowed, see [sqlitedb.OpenReadOnly].
func OpenReader(ctx context.Context, path string) (*Reader, error) {
	db, err := sqlitedb.OpenReadOnly(ctx, path)
	if err != nil {
		return nil, err
	}
	r := &Reader{db: db, path: path}
	if err := r.check(ctx); err != nil {
		return nil, errors.Join(err, r.db.Close())
	}
	return r, nil
}

// check returns an error if the database cannot be read by this version.
func (r *Reader) check(ctx context.Context) error {
	f, err := readFormat(ctx, r.db)
	switch {
	case err != nil:
		return fmt.Errorf("open database %s: %w", r.path, sqlitedb.Advise(err))
	case f.empty():
		return fmt.Errorf("database %s is empty: name the one that was given to sqlite.Open; nothing was changed", r.path)
	case f.application == applicationID && f.version > 0 && f.version < schemaVersion:
		return fmt.Errorf("database %s has schema version %d, this program needs %d: let an engine of this version open it first; nothing was changed",
			r.path, f.version, schemaVersion)
	}
	return f.check(r.path)
}

// Close closes the file.
func (r *Reader) Close() error { return r.db.Close() }

// Load returns a run and verifies its checksums, see [core.Backend].
func (r *Reader) Load(ctx context.Context, key core.RunKey) (core.Snapshot, error) {
	return (&Backend{path: r.path, readers: r.db}).Load(ctx, key)
}

// RunInfo and Filter are those of package core.
type (
	RunInfo = core.RunInfo
	Filter  = core.Filter
)

// List returns the runs that the filter selects, the newest first, by one query. It does not
// verify checksums, as [Reader.Load] does.
func (r *Reader) List(ctx context.Context, f Filter) ([]RunInfo, error) {
	return list(ctx, r.db, r.path, f)
}

// Questions implements core.Lister.
func (r *Reader) Questions(ctx context.Context, f Filter) ([]core.Question, error) {
	return questions(ctx, r.db, r.path, f)
}

// List implements [core.Lister].
func (b *Backend) List(ctx context.Context, f Filter) ([]RunInfo, error) {
	if b.closed.Load() {
		return nil, core.ErrClosed
	}
	return list(ctx, b.readers, b.path, f)
}

// Questions implements [core.Lister].
func (b *Backend) Questions(ctx context.Context, f Filter) ([]core.Question, error) {
	if b.closed.Load() {
		return nil, core.ErrClosed
	}
	return questions(ctx, b.readers, b.path, f)
}

var _ interface {
	core.Lister
	core.Pruner
} = (*Backend)(nil)

func list(ctx context.Context, db *sql.DB, path string, f Filter) (runs []RunInfo, err error) {
	err = each(ctx, db, listRuns, f, func(rows *sql.Rows) error {
		var i RunInfo
		var plan, started, saved, ended, until, wake int64
		err := rows.Scan(&i.ID, &i.Key.Tenant, &i.Key.Run, &i.Pipeline, &plan, &i.Status, &i.Error, &i.Epoch, &started, &ended,
			&i.Holder.Executor, &until, &i.Origin.Key.Tenant, &i.Origin.Key.Run, &i.Origin.Seq, &wake,
			&saved, &i.Usage.Steps, &i.Attempts, &i.Usage.Calls, &i.Usage.Tokens, &i.Usage.Cost, &i.Open)
		i.Plan = uint64(plan)
		i.Started, i.Saved, i.Ended, i.Wake = instant(started), instant(saved), moment(ended), moment(wake)
		if i.Status == core.Running {
			i.Holder.Until = moment(until)
		}
		runs = append(runs, i)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the runs in %s: %w", path, sqlitedb.Advise(err))
	}
	return runs, nil
}

func questions(ctx context.Context, db *sql.DB, path string, f Filter) (all []core.Question, err error) {
	f.After = nil
	err = each(ctx, db, listQuestions, f, func(rows *sql.Rows) error {
		var q core.Question
		var asked, due int64
		err := rows.Scan(&q.Key.Tenant, &q.Key.Run, &q.Pipeline, &q.Path, &q.Token, &q.Prompt, &q.For, &asked, &due)
		q.Asked, q.Due = instant(asked), moment(due)
		all = append(all, q)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the open questions in %s: %w", path, sqlitedb.Advise(err))
	}
	return all, nil
}

// each calls row for each row of a query over the runs that a filter selects.
func each(ctx context.Context, db *sql.DB, query string, f Filter, row func(*sql.Rows) error) error {
	var tenant, after, afterID any
	if f.Tenant != nil {
		tenant = *f.Tenant
	}
	if f.After != nil {
		after, afterID = f.After.Started.UnixNano(), f.After.ID
	}
	limit := f.Limit
	if limit == 0 {
		limit = -1
	}
	rows, err := db.QueryContext(ctx, query, tenant, f.Run, int64(f.Status), limit, f.Pipeline, bound(f.Since), bound(f.Before),
		f.Live, f.CutOff, f.Due, nanos(f.Now), after, afterID)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// bound returns a bound of the start time for a query: NULL if there is none.
func bound(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixNano()
}

// chosen is the SQL condition of a [Filter], without its limit.
const chosen = `(?1 IS NULL OR runs.tenant = ?1) AND (?3 = 0 OR runs.status = ?3)
		AND (?2 = '' OR runs.run = ?2 OR ?1 IS NULL AND runs.tenant != '' AND runs.tenant || '/' || runs.run = ?2)
		AND (?5 = '' OR runs.pipeline = ?5) AND (?6 IS NULL OR runs.started >= ?6) AND (?7 IS NULL OR runs.started < ?7)
		AND (NOT ?8 OR runs.status = 1 AND runs.until > ?11) AND (NOT ?9 OR runs.status = 1 AND runs.until <= ?11)
		AND (NOT ?10 OR runs.status = 1 AND runs.until <= ?11 OR runs.status = 4 AND (runs.wake != 0 AND runs.wake <= ?11
			OR runs.seen != (SELECT count(*) FROM answers WHERE answers.run = runs.id)))
		AND (?12 IS NULL OR runs.started < ?12 OR runs.started = ?12 AND runs.id < ?13)`

// listRuns selects the runs in a subquery, so that only their steps are read. Records without
// a path have the state at a start or an end; records of status 7 invalidate another one.
// total() is used because sum() fails if an integer overflows; it is exact up to 2^53.
const listRuns = `SELECT r.id, r.tenant, r.run, r.pipeline, r.plan, r.status, r.error, r.epoch, r.started, r.ended,
		r.executor, r.until, r.origin_tenant, r.origin_run, r.origin_seq, r.wake,
		max(r.started, coalesce(max(s.ended), r.started)), count(CASE WHEN s.status != 7 THEN 1 END), CAST(total(s.attempts) AS INTEGER),
		CAST(total(s.calls) AS INTEGER), CAST(total(s.tokens) AS INTEGER), CAST(total(s.cost) AS INTEGER),
		CAST(total(s.status = 4 AND r.status NOT IN (2, 3, 6)
			AND NOT EXISTS (SELECT 1 FROM answers a WHERE a.run = r.id AND a.token = s.token)) AS INTEGER)
	FROM (SELECT runs.* FROM runs WHERE ` + chosen + ` ORDER BY started DESC, id DESC LIMIT ?4) r
	LEFT JOIN steps s ON s.key BETWEEN r.id << 20 AND r.id << 20 | 1048575 AND s.path != ''
	GROUP BY r.id ORDER BY r.started DESC, r.id DESC`

// listQuestions starts from the pauses, because they have an index.
const listQuestions = `SELECT runs.tenant, runs.run, runs.pipeline, s.path, s.token, s.output, s.whom, s.ended, s.due
	FROM steps s CROSS JOIN runs ON runs.id = s.key >> 20
	WHERE s.status = 4 AND runs.status NOT IN (2, 3, 6) AND ` + chosen + `
		AND NOT EXISTS (SELECT 1 FROM answers a WHERE a.run = runs.id AND a.token = s.token)
	ORDER BY s.ended, s.key LIMIT ?4`
