package postgresbench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime/debug"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/core/postgres"
	"github.com/flujo/flujo-harness/core/postgres/internal/probe"
)

// prefix distinguishes the durabilities of this backend from those of others in a file of limits.
const prefix = "postgres-"

// Backend lets package harness measure package postgres.
type Backend struct {
	address *url.URL
	home    *home
}

var _ corebench.Backend = (*Backend)(nil)

// New returns the backend at an address such as postgres://user@host:5432/database. It does not
// connect yet. It refuses an address with a password, because addresses are part of commands that
// are stored with their results.
func New(address string) (*Backend, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, errors.New("the address of the server must be like postgres://user@host:5432/database") // without err, which contains the address
	}
	q := u.Query()
	if _, has := u.User.Password(); has || q.Has("password") {
		return nil, errors.New("the address of the server has a password: leave it to the variable PGPASSWORD or to a .pgpass file")
	}
	if q.Has("search_path") {
		return nil, errors.New("the address of the server has a search_path: each measured database gets its own schema")
	}
	return &Backend{u, homeAt(address)}, nil
}

// Name implements [corebench.Backend].
func (*Backend) Name() string { return "postgres" }

// Levels implements [corebench.Backend].
func (*Backend) Levels() []corebench.Level {
	return []corebench.Level{
		{Durability: corebench.Unsynced, Category: "PostgreSQL persistence", Adds: "N+2 transactions that do not wait for the server's disk (synchronous_commit=off)"},
		{Durability: prefix + string(postgres.Server), Category: "durable commits", Adds: "what it takes to survive kill -9 of the server (synchronous_commit=on)", Waits: true},
		{Durability: prefix + string(postgres.Power), Category: "loss of power", Adds: "fsync and full_page_writes are demanded of the server, and change nothing here", Waits: true},
	}
}

// About implements [corebench.Backend].
func (b *Backend) About(ctx context.Context) (about string, err error) {
	var major int // what a client executes does not depend on the minor version
	err = b.home.with(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int / 10000`).Scan(&major)
	})
	if err != nil {
		return "", err
	}
	about = fmt.Sprint("PostgreSQL ", major)
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/jackc/pgx/v5" {
				about += ", " + m.Path + " " + m.Version
			}
		}
	}
	return about, nil
}

// dsn returns the address of a schema.
func (b *Backend) dsn(schema string) string {
	u := *b.address
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

// store is an open backend that implements [corebench.Store].
type store struct {
	*postgres.Backend
	home   *home
	schema string
}

func (b *Backend) open(ctx context.Context, place, durability string, p probe.Probe) (store, error) {
	schema, err := b.home.schema(ctx, place)
	if err != nil {
		return store{}, err
	}
	back, err := postgres.OpenProbed(ctx, b.dsn(schema), postgres.Durability(strings.TrimPrefix(durability, prefix)), p)
	if err != nil {
		return store{}, err
	}
	return store{back, b.home, schema}, nil
}

// Durability implements [corebench.Store].
func (s store) Durability() (string, error) {
	d, err := s.ReadDurability(context.Background())
	return prefix + string(d), err
}

// Discard implements [corebench.Store].
func (s store) Discard() error { return errors.Join(s.Close(), s.home.drop(s.schema)) }

// Open implements [corebench.Backend].
func (b *Backend) Open(ctx context.Context, place, durability string) (corebench.Store, error) {
	s, err := b.open(ctx, place, durability, probe.Probe{})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Count implements [corebench.Backend]. It counts the transactions by xmin, the server's record of
// the transaction that wrote the latest version of a row.
func (b *Backend) Count(ctx context.Context, place string) (c corebench.RowCounts, err error) {
	schema, err := b.home.schema(ctx, place)
	if err != nil {
		return c, err
	}
	r, err := postgres.OpenReader(ctx, b.dsn(schema)) // an error if it is not a schema of runs, or has another version
	if err != nil {
		return c, err
	}
	if err := r.Close(); err != nil {
		return c, err
	}
	conn, err := pgx.Connect(ctx, b.dsn(schema))
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	err = conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM runs WHERE status <> 1), (SELECT count(*) FROM steps),
		(SELECT count(DISTINCT t) FROM (SELECT xmin::text FROM runs UNION ALL SELECT xmin::text FROM steps UNION ALL SELECT xmin::text FROM answers) x (t))`).
		Scan(&c.Runs, &c.Finished, &c.Records, &c.Commits)
	if err != nil {
		err = fmt.Errorf("count the runs in schema %s: %w", schema, err)
	}
	return c, err
}
