package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	lib "modernc.org/sqlite/lib"

	"github.com/flujo/flujo-harness/core"
)

// Reader looks at a database of the engine and cannot change it: the file is
// neither created nor migrated nor repaired. Engines may go on saving to it. Its
// methods may be called from several goroutines.
type Reader struct {
	db   *sql.DB
	path string
}

// OpenReader opens the database at path. A missing file is [fs.ErrNotExist], a
// database of a newer version [*ErrNewer]. One that an older version wrote, or
// another program, is refused too.
func OpenReader(ctx context.Context, path string) (*Reader, error) {
	base, err := newConnector(path, Process)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no database at %s: %w", path, fs.ErrNotExist)
	}
	r := &Reader{db: sql.OpenDB(&lookOnly{base, quiet(base.path)}), path: path}
	if err := r.check(ctx); err != nil {
		return nil, errors.Join(err, r.db.Close())
	}
	return r, nil
}

// quiet reports that no journal lies beside the database: it was closed as it
// should be, and nobody has it open.
func quiet(path string) bool {
	for _, end := range []string{"-wal", "-journal"} {
		if _, err := os.Lstat(path + end); !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}

// lookOnly opens connections that do not write.
type lookOnly struct {
	*connector
	quiet bool
}

// Connect implements driver.Connector. A read-only connection leaves a journal as it
// is, where one of another mode would move it into the database when it closes. But
// it cannot take away the files that it makes beside a quiet database; there is
// nothing to move then, and the other mode leaves no trace.
func (c *lookOnly) Connect(ctx context.Context) (driver.Conn, error) {
	mode := "ro"
	if c.quiet {
		mode = "rw" // never creates the file
	}
	conn, err := c.Driver().Open(fileURI(c.path, "mode="+mode))
	if err != nil {
		return nil, err
	}
	for _, s := range []setting{
		{"busy_timeout", "5000", "5000"},
		{"query_only", "ON", "1"},
		{"mmap_size", "0", "0"},
		{"trusted_schema", "OFF", "0"},
		{"cell_size_check", "ON", "1"}, // a damaged page is an error, not a wrong answer
	} {
		got, err := pragma(ctx, conn, s)
		if err == nil && got != s.want {
			err = fmt.Errorf("%s is %q where %q is needed", s.name, got, s.want)
		}
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// check tells a database that can be read from all others.
func (r *Reader) check(ctx context.Context) error {
	migrations, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return err
	}
	know, has, columns := len(migrations), 0, 0
	err = r.db.QueryRowContext(ctx, `SELECT user_version,
		(SELECT count(*) FROM pragma_table_info('runs') WHERE name IN ('tenant', 'run', 'plan', 'epoch')) FROM pragma_user_version`).Scan(&has, &columns)
	switch {
	case err != nil && code(err)&0xff == lib.SQLITE_CANTOPEN:
		return fmt.Errorf("open database %s: %w: it and its folder must be readable, and the folder writable, since SQLite reads through a file beside the database", r.path, err)
	case err != nil:
		return fmt.Errorf("open database %s: %w", r.path, advised(err))
	case columns != 4:
		return fmt.Errorf("database %s holds no runs of an engine (it may be another program's, or the history of flujo-harness): name the one that was given to sqlite.Open; nothing was changed", r.path)
	case has > know:
		return &ErrNewer{Path: r.path, Has: has, Know: know}
	case has < know:
		return fmt.Errorf("database %s has schema version %d, this program reads %d: sqlite.Open of this version brings it up to date; nothing was changed", r.path, has, know)
	}
	return nil
}

// Close closes the file.
func (r *Reader) Close() error { return r.db.Close() }

// Load returns all that is saved of a run, with checksums looked at: see
// [core.Backend].
func (r *Reader) Load(ctx context.Context, key core.RunKey) (core.Snapshot, error) {
	return (&Backend{path: r.path, readers: r.db}).Load(ctx, key)
}

// RunInfo is a run at a glance.
type RunInfo struct {
	Key      core.RunKey
	Pipeline string
	Status   core.Status
	Error    string
	Epoch    int64      // 1 for the starter, one more with every claim
	Attempts int64      // of all steps; hits of a cache count here, and not in Usage.Calls
	Usage    core.Usage // Steps are executed steps and pauses
	Started  time.Time
	Saved    time.Time // end of the latest record of a step; Started where there is none
	Ended    time.Time // or paused, or stopped; zero while running
}

// Took is the time from the start to the end, or to the latest save of a run
// without an end. Waiting for answers and restarts is in it.
func (i RunInfo) Took() time.Duration {
	if i.Ended.IsZero() {
		return i.Saved.Sub(i.Started)
	}
	return i.Ended.Sub(i.Started)
}

// Filter chooses runs. The zero value is all of them.
type Filter struct {
	Tenant *string     // nil: of every tenant
	Run    string      // name of the run; without a Tenant also "tenant/run"; empty: every run
	Status core.Status // 0: any
	Limit  int         // 0: no limit
}

// List returns the chosen runs, the newest first, in one query. It looks at no
// checksums: [Reader.Load] does.
func (r *Reader) List(ctx context.Context, f Filter) (runs []RunInfo, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("list the runs in %s: %w", r.path, advised(err))
		}
	}()
	if f.Limit == 0 {
		f.Limit = -1
	}
	var tenant any
	if f.Tenant != nil {
		tenant = *f.Tenant
	}
	rows, err := r.db.QueryContext(ctx, listRuns, tenant, f.Run, int64(f.Status), f.Limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var i RunInfo
		var started, saved, ended int64
		if err := rows.Scan(&i.Key.Tenant, &i.Key.Run, &i.Pipeline, &i.Status, &i.Error, &i.Epoch, &started, &ended,
			&saved, &i.Usage.Steps, &i.Attempts, &i.Usage.Calls, &i.Usage.Tokens, &i.Usage.Cost); err != nil {
			return nil, err
		}
		i.Started, i.Saved = instant(started), instant(saved)
		if ended != 0 {
			i.Ended = instant(ended)
		}
		runs = append(runs, i)
	}
	return runs, rows.Err()
}

// listRuns chooses runs first, so that only their steps are read. Records without a
// path are states at a start or an end. sum() fails where an integer would overflow; total()
// does not, and counts exactly up to 2^53.
const listRuns = `SELECT r.tenant, r.run, r.pipeline, r.status, r.error, r.epoch, r.started, r.ended,
		coalesce(max(s.ended), r.started), count(s.key), CAST(total(s.attempts) AS INTEGER),
		CAST(total(s.calls) AS INTEGER), CAST(total(s.tokens) AS INTEGER), CAST(total(s.cost) AS INTEGER)
	FROM (SELECT * FROM runs
		WHERE (?1 IS NULL OR tenant = ?1) AND (?3 = 0 OR status = ?3)
		AND (?2 = '' OR run = ?2 OR ?1 IS NULL AND tenant != '' AND tenant || '/' || run = ?2)
		ORDER BY started DESC, id DESC LIMIT ?4) r
	LEFT JOIN steps s ON s.key BETWEEN r.id << 20 AND r.id << 20 | 1048575 AND s.path != ''
	GROUP BY r.id ORDER BY r.started DESC, r.id DESC`
