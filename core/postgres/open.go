package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flujo/flujo-harness/core/postgres/internal/probe"
)

// Durability is what a save survives once it has returned.
type Durability string

const (
	// Power requires synchronous_commit, fsync and full_page_writes: a save survives a loss of
	// power of the server's machine.
	Power Durability = "power"
	// Server requires synchronous_commit: a save survives kill -9 of the server and of its
	// clients. If the server runs without fsync, a loss of power may destroy the last saves or
	// the whole cluster.
	Server Durability = "server"

	// unsynced turns synchronous_commit off. It is used by control experiments, and to measure
	// the other parts of the cost of a save.
	unsynced Durability = "unsynced"
)

// Patience is the maximum duration of a write, including the time for new connections.
const Patience = 30 * time.Second

const (
	defaultSchema = "flujo"
	defaultConns  = 8
	// oldest is the oldest supported version of PostgreSQL.
	oldest = 130000
)

func (d Durability) check() error {
	if d == Power || d == Server {
		return nil
	}
	return fmt.Errorf("durability %q: use %q or %q", string(d), Power, Server)
}

// server has an address and the demands on connections to it.
type server struct {
	config     *pgxpool.Config
	place      string // host and database, for messages
	schema     string // unquoted
	durability Durability
	reader     bool // it only reads, so a standby is allowed

	connections *atomic.Int64 // number of connections that were made, also by pools of [Backend.NewPool]

	// Timeouts of the server for a statement that waits for a row, and for a transaction that waits
	// for its client. If a client vanishes, its locks must be released before the patience of the
	// others is over.
	lockWait, idle time.Duration
}

// parse reads an address. Errors do not show it, because it may have a password.
func parse(dsn string, d Durability, reader bool) (*server, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("the address of the PostgreSQL database cannot be read: it must be like postgres://user@host:5432/database?sslmode=verify-full, " +
			"with special characters percent-encoded, or like \"host=h user=u dbname=d\"; files that it names must exist")
	}
	c := config.ConnConfig
	s := &server{config: config, place: fmt.Sprintf("%s:%d/%s", c.Host, c.Port, c.Database), schema: defaultSchema, durability: d, reader: reader,
		connections: new(atomic.Int64), lockWait: Patience / 3, idle: Patience / 3}
	if path, ok := c.RuntimeParams["search_path"]; ok {
		delete(c.RuntimeParams, "search_path")
		s.schema = strings.Trim(path, ` "`)
		if s.schema == "" || strings.ContainsAny(s.schema, ",\"\x00") {
			return nil, fmt.Errorf("database %s: search_path must name one schema", s.place)
		}
	}
	if _, ok := c.RuntimeParams["application_name"]; !ok {
		c.RuntimeParams["application_name"] = "flujo-harness"
	}
	if !strings.Contains(dsn, "pool_max_conns") {
		config.MaxConns = defaultConns
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = Patience / 3
	}
	config.AfterConnect = s.ready
	return s, nil
}

// quoted returns the quoted name of the schema.
func (s *server) quoted() string { return pgx.Identifier{s.schema}.Sanitize() }

// hide removes the password from the text of an error, which it wraps. See [hidden].
func (s *server) hide(err error) error {
	password := s.config.ConnConfig.Password
	if err == nil || password == "" || !strings.Contains(err.Error(), password) {
		return err
	}
	return hidden{err, strings.ReplaceAll(err.Error(), password, "xxxxx")}
}

// hidden is an error with another text than the error that it wraps.
type hidden struct {
	error
	text string
}

func (h hidden) Error() string { return h.text }
func (h hidden) Unwrap() error { return h.error }

// errSettings is the error for a server that does not meet the demands.
var errSettings = errors.New("the server cannot keep what is saved")

// ready applies the settings to a new connection by statements and reads them back. It returns an
// error if the connection must not be used.
func (s *server) ready(ctx context.Context, conn *pgx.Conn) error {
	s.connections.Add(1)
	set := fmt.Sprintf(`SET default_transaction_isolation = 'read committed'; SET default_transaction_deferrable = off; `+
		`SET lock_timeout = %d; SET statement_timeout = %d; SET idle_in_transaction_session_timeout = %d`,
		s.lockWait.Milliseconds(), Patience.Milliseconds(), s.idle.Milliseconds())
	switch {
	case s.reader:
		set += `; SET default_transaction_read_only = on`
	case s.durability == unsynced:
		set += `; SET synchronous_commit = off`
	default:
		// Stronger settings, such as remote_apply, are kept.
		set += `; SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`
	}
	if _, err := conn.Exec(ctx, set, pgx.QueryExecModeSimpleProtocol); err != nil {
		return fmt.Errorf("set up the connection: %w", err)
	}
	return s.check(ctx, conn)
}

// check reads the settings of a connection back, and returns an error if they are too weak for the durability.
func (s *server) check(ctx context.Context, conn *pgx.Conn) error {
	var standby bool
	var version int
	var isolation, readOnly, commit, fsync, pages, encoding string
	err := conn.QueryRow(ctx, `SELECT pg_is_in_recovery(), current_setting('server_version_num')::int, current_setting('default_transaction_isolation'),
		current_setting('default_transaction_read_only'), current_setting('synchronous_commit'), current_setting('fsync'),
		current_setting('full_page_writes'), current_setting('server_encoding')`).Scan(&standby, &version, &isolation, &readOnly, &commit, &fsync, &pages, &encoding)
	if err != nil {
		return fmt.Errorf("read the settings of the connection: %w", err)
	}
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{errSettings}, args...)...)
	}
	switch {
	case version < oldest:
		return bad("it is of version %d, and %d is the oldest that is supported", version/10000, oldest/10000)
	case isolation != "read committed":
		return bad("default_transaction_isolation is %q and cannot be changed to \"read committed\"", isolation)
	case s.reader:
		return nil
	case standby:
		return bad("it is a standby: name the primary (target_session_attrs=read-write chooses it among several hosts)")
	case readOnly != "off":
		return bad("default_transaction_read_only is %s", readOnly)
	case commit == "off" && s.durability != unsynced:
		return bad("synchronous_commit is off and cannot be changed: the last saves are lost in a crash of the server")
	case s.durability == Power && fsync != "on":
		return bad("fsync is %s: a loss of power can destroy the cluster; use the durability %q only if that may happen", fsync, Server)
	case s.durability == Power && pages != "on":
		return bad("full_page_writes is %s: a loss of power can damage pages; use the durability %q only if that may happen", pages, Server)
	}
	return nil
}

// connect opens the pool and its first connection.
func (s *server) connect(ctx context.Context) (*pgxpool.Pool, error) {
	if err := refusePooler(ctx, s.config.ConnConfig); err != nil { // first, because a pooler makes all other checks unreliable
		return nil, s.hide(err)
	}
	pool, err := pgxpool.NewWithConfig(ctx, s.config)
	if err != nil {
		return nil, s.hide(err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, s.hide(err)
	}
	return pool, nil
}

// errPooler is the error for a pooler that passes server connections from client to client.
var errPooler = errors.New("a pooler shares its server connections between clients: settings and locks of a session would be another's. " +
	"Let it pool sessions (PgBouncer: pool_mode = session), or name the server itself")

// refusePooler returns an error if a connection is not a session of the server. It compares the
// process number that the connection got at its start, which a pooler makes up, with the number
// that the server reports. If they differ, there is a pooler. A pooler in transaction mode passes
// the server's connection on after each transaction: either another client, in a transaction, gets
// the one that this client had, or this client gets another one.
func refusePooler(ctx context.Context, config *pgx.ConnConfig) (err error) {
	config = config.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // prepared statements do not exist in other sessions
	mine, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mine.Close(ctx)) }()
	const ask = `SELECT pg_backend_pid()`
	var first, other, again uint32
	if err := mine.QueryRow(ctx, ask).Scan(&first); err != nil {
		return err
	}
	if first == mine.PgConn().PID() {
		return nil
	}
	for range 5 {
		next, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			return err
		}
		err = pgx.BeginFunc(ctx, next, func(tx pgx.Tx) error {
			if err := tx.QueryRow(ctx, ask).Scan(&other); err != nil || other == first {
				return err
			}
			return mine.QueryRow(ctx, ask).Scan(&again)
		})
		if err := errors.Join(err, next.Close(ctx)); err != nil {
			return err
		}
		if other == first || again != first {
			return errPooler
		}
	}
	return nil
}

// Open opens the database at an address, and creates or migrates its tables if necessary. It returns
// an error for an invalid address, a failed connection, settings of the server that are too weak for
// the durability, a pooler that shares connections, and a newer schema ([*ErrNewer]).
func Open(ctx context.Context, dsn string, d Durability) (*Backend, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	return open(ctx, dsn, d, probe.Probe{})
}

// OpenProbed is Open for package postgresbench. That package also opens databases whose saves do not
// wait for the server's disk (synchronous_commit=off), to measure the other parts of their cost.
func OpenProbed(ctx context.Context, dsn string, d Durability, p probe.Probe) (*Backend, error) {
	if err := d.check(); err != nil && d != unsynced {
		return nil, err
	}
	return open(ctx, dsn, d, p)
}

func open(ctx context.Context, dsn string, d Durability, p probe.Probe) (*Backend, error) {
	s, err := parse(dsn, d, false)
	if err != nil {
		return nil, err
	}
	if p.Config != nil {
		p.Config(s.config)
	}
	pool, err := s.connect(ctx)
	if err == nil {
		if err = s.migrate(ctx, pool); err != nil {
			pool.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", s.place, advised(err))
	}
	return newBackend(s, pool), nil
}

// advice has remedies for errors of the server, by their code or class.
var advice = map[string]string{
	"28":    "see the user, the password and pg_hba.conf",
	"3D":    "create the database first",
	"42501": "the role lacks a privilege: see postgres.Grants, and let a role open the database first that may create a schema",
	"53":    "the server is out of disk, memory or connections: nothing was saved",
}

// advised appends a remedy to an error, if there is one.
func advised(err error) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) || len(e.Code) < 2 {
		return err
	}
	text, ok := advice[e.Code]
	if !ok {
		text, ok = advice[e.Code[:2]]
	}
	if !ok {
		return err
	}
	return fmt.Errorf("%w: %s", err, text)
}

// Grants returns the statements with which the owner of the tables gives a role the rights that
// [Open] needs (or, for a reader, [OpenReader]) in an existing schema. They give no right to create,
// change or drop a table.
func Grants(schema, role string, reader bool) []string {
	if schema == "" {
		schema = defaultSchema
	}
	s, r := pgx.Identifier{schema}.Sanitize(), pgx.Identifier{role}.Sanitize()
	grants := []string{"GRANT USAGE ON SCHEMA " + s + " TO " + r, "GRANT SELECT ON ALL TABLES IN SCHEMA " + s + " TO " + r}
	if reader {
		return grants
	}
	return append(grants,
		"GRANT INSERT, UPDATE, DELETE ON "+s+".runs TO "+r,
		"GRANT INSERT ON "+s+".plans TO "+r,
		"GRANT INSERT, DELETE ON "+s+".steps, "+s+".answers TO "+r)
}
