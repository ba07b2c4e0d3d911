package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flujo/flujo-harness/core"
)

// Reader reads a database of the engine and cannot change it; the server may be a standby. It
// creates and migrates nothing. Its methods may be called from several goroutines.
type Reader struct{ b *Backend }

// OpenReader opens the database at an address, see [Open]. The error for a schema of a newer
// version is [*ErrNewer]. Schemas of older versions or without the engine's tables are refused too.
func OpenReader(ctx context.Context, dsn string) (*Reader, error) {
	s, err := parse(dsn, "", true)
	if err != nil {
		return nil, err
	}
	pool, err := s.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", s.place, advised(err))
	}
	has, err := s.version(ctx, pool)
	names, namesErr := migrationNames()
	switch {
	case err != nil:
		err = fmt.Errorf("open database %s: %w", s.place, advised(s.hide(err)))
	case namesErr != nil:
		err = namesErr
	case has == 0:
		err = fmt.Errorf("database %s has no runs in the schema %q: name the one that was given to postgres.Open; nothing was changed", s.place, s.schema)
	case has < len(names):
		err = fmt.Errorf("schema %q of database %s has version %d, this program needs %d: let an engine of this version open it first; nothing was changed",
			s.schema, s.place, has, len(names))
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &Reader{newBackend(s, pool)}, nil
}

// Load returns a run and verifies its checksums, see [core.Backend].
func (r *Reader) Load(ctx context.Context, key core.RunKey) (core.Snapshot, error) {
	return r.b.Load(ctx, key)
}

// List implements [core.Lister]. It does not verify checksums, as [Reader.Load] does.
func (r *Reader) List(ctx context.Context, f core.Filter) ([]core.RunInfo, error) {
	return r.b.List(ctx, f)
}

// Questions implements [core.Lister].
func (r *Reader) Questions(ctx context.Context, f core.Filter) ([]core.Question, error) {
	return r.b.Questions(ctx, f)
}

// Place returns the host, the port and the name of the database, without user and password.
func (r *Reader) Place() string { return r.b.server.place }

// Close closes the connections.
func (r *Reader) Close() error { return r.b.Close() }

// query is a statement under construction.
type query struct {
	all  []string
	args []any
}

// arg adds an argument and returns its placeholder.
func (q *query) arg(value any) string {
	q.args = append(q.args, value)
	return fmt.Sprint("$", len(q.args))
}

func (q *query) where(condition string) { q.all = append(q.all, "("+condition+")") }

func (q *query) conditions() string {
	if len(q.all) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(q.all, " AND ")
}

// choose adds the conditions of a filter on the table runs, without its limit. It adds only the
// conditions that the filter has, so that the server plans for these.
func (q *query) choose(f core.Filter) {
	if f.Tenant != nil {
		q.where("runs.tenant = " + q.arg(text(*f.Tenant)) + "::bytea")
	}
	if f.Run != "" {
		name := q.arg(text(f.Run)) + "::bytea"
		named := "runs.run = " + name
		if f.Tenant == nil {
			named += ` OR runs.tenant <> '' AND runs.tenant || '\x2f'::bytea || runs.run = ` + name
		}
		q.where(named)
	}
	if f.Pipeline != "" {
		q.where("runs.pipeline = " + q.arg(text(f.Pipeline)) + "::bytea")
	}
	if f.Status != 0 {
		q.where("runs.status = " + q.arg(int16(f.Status)) + "::smallint")
	}
	if !f.Since.IsZero() {
		q.where("runs.started >= " + q.arg(f.Since.UnixNano()) + "::bigint")
	}
	if !f.Before.IsZero() {
		q.where("runs.started < " + q.arg(f.Before.UnixNano()) + "::bigint")
	}
	if f.Live || f.CutOff || f.Due {
		now := q.arg(nanos(f.Now)) + "::bigint"
		cutOff := "runs.status = 1 AND runs.until <= " + now
		if f.Live {
			q.where("runs.status = 1 AND runs.until > " + now)
		}
		if f.CutOff {
			q.where(cutOff)
		}
		if f.Due {
			q.where(cutOff + " OR runs.status = 4 AND (runs.answers <> runs.seen OR runs.wake <> 0 AND runs.wake <= " + now + ")")
		}
	}
	if f.After != nil {
		q.where("(runs.started, runs.id) < (" + q.arg(f.After.Started.UnixNano()) + "::bigint, " + q.arg(f.After.ID) + "::bigint)")
	}
}

func (q *query) limit(n int) string {
	if n <= 0 {
		return ""
	}
	return " LIMIT " + q.arg(int64(n))
}

// clamped returns the SQL of a sum that is limited to 64 bits.
func clamped(column string) string {
	return "least(coalesce(sum(s." + column + "), 0), 9223372036854775807)::bigint"
}

// List implements [core.Lister].
func (b *Backend) List(ctx context.Context, f core.Filter) (runs []core.RunInfo, err error) {
	var q query
	q.choose(f)
	// Runs are selected in a subquery, so that only their steps are read. Records without a path
	// have the state at a start or an end; records of status 7 invalidate another one.
	text := `SELECT r.id, r.tenant, r.run, r.pipeline, r.plan, r.status, r.error, r.epoch, r.started, r.ended, r.executor, r.until,
			r.origin_tenant, r.origin_run, r.origin_seq, r.wake, t.*
		FROM (SELECT * FROM @.runs` + q.conditions() + ` ORDER BY started DESC, id DESC` + q.limit(f.Limit) + `) r
		CROSS JOIN LATERAL (SELECT greatest(r.started, coalesce(max(s.ended), r.started)), count(s.seq) FILTER (WHERE s.status <> 7),
				` + clamped("attempts") + `, ` + clamped("calls") + `, ` + clamped("tokens") + `, ` + clamped("cost") + `,
				count(s.seq) FILTER (WHERE s.status = 4 AND r.status NOT IN (2, 3, 6)
					AND NOT EXISTS (SELECT 1 FROM @.answers a WHERE a.run = r.id AND a.token = s.token))
			FROM @.steps s WHERE s.run = r.id AND s.path <> '') t
		ORDER BY r.started DESC, r.id DESC`
	err = b.each(ctx, &q, text, func() { runs = nil }, func(rows pgx.Rows) error {
		var i core.RunInfo
		var tenant, run, pipeline, fault, executor, originTenant, originRun []byte
		var plan, started, saved, ended, until, wake int64
		err := rows.Scan(&i.ID, &tenant, &run, &pipeline, &plan, &i.Status, &fault, &i.Epoch, &started, &ended, &executor, &until,
			&originTenant, &originRun, &i.Origin.Seq, &wake, &saved, &i.Usage.Steps, &i.Attempts, &i.Usage.Calls, &i.Usage.Tokens, &i.Usage.Cost, &i.Open)
		i.Key, i.Origin.Key = core.RunKey{Tenant: string(tenant), Run: string(run)}, core.RunKey{Tenant: string(originTenant), Run: string(originRun)}
		i.Plan = uint64(plan)
		i.Pipeline, i.Error, i.Holder.Executor = string(pipeline), string(fault), string(executor)
		i.Started, i.Saved, i.Ended, i.Wake = instant(started), instant(saved), moment(ended), moment(wake)
		if i.Status == core.Running {
			i.Holder.Until = moment(until)
		}
		runs = append(runs, i)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the runs: %w", err)
	}
	return runs, nil
}

// Questions implements [core.Lister].
func (b *Backend) Questions(ctx context.Context, f core.Filter) (all []core.Question, err error) {
	f.After = nil
	var q query
	q.where("s.status = 4 AND runs.status NOT IN (2, 3, 6)")
	q.where("NOT EXISTS (SELECT 1 FROM @.answers a WHERE a.run = runs.id AND a.token = s.token)")
	q.choose(f)
	text := `SELECT runs.tenant, runs.run, runs.pipeline, s.path, s.token, s.output, s.whom, s.ended, s.due
		FROM @.steps s JOIN @.runs ON runs.id = s.run` + q.conditions() + ` ORDER BY s.ended, s.run, s.seq` + q.limit(f.Limit)
	err = b.each(ctx, &q, text, func() { all = nil }, func(rows pgx.Rows) error {
		var o core.Question
		var tenant, run, pipeline, path, token, whom []byte
		var asked, due int64
		err := rows.Scan(&tenant, &run, &pipeline, &path, &token, &o.Prompt, &whom, &asked, &due)
		o.Key = core.RunKey{Tenant: string(tenant), Run: string(run)}
		o.Pipeline, o.Path, o.Token, o.For = string(pipeline), string(path), string(token), string(whom)
		o.Asked, o.Due = instant(asked), moment(due)
		all = append(all, o)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the open questions: %w", err)
	}
	return all, nil
}

// each calls row for each row of a query. It calls begin before the first row, and again if the
// query has to be repeated.
func (b *Backend) each(ctx context.Context, q *query, text string, begin func(), row func(pgx.Rows) error) error {
	return b.read(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		begin()
		// Statements that differ each time should not be cached by the server.
		args := append([]any{pgx.QueryExecModeExec}, q.args...)
		rows, err := conn.Query(ctx, qualify(text, b.server.quoted()), args...)
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
	})
}
