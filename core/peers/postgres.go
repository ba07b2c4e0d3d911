package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	"github.com/dbos-inc/dbos-transact-golang/dbos/internals"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/postgres"
	"github.com/flujo/flujo-harness/core/postgres/pgserver"
	"github.com/flujo/flujo-harness/core/sqlite"
)

// onPostgres is the "durability" of runs that both sides store on one PostgreSQL server with
// synchronous_commit, fsync and full_page_writes.
const onPostgres sqlite.Durability = "postgres"

// server is the server of this process. Its data is in the directory of the databases.
var server = struct {
	sync.Mutex
	*pgserver.Server
	databases atomic.Int64
}{}

// serverIn starts the server in dir, unless it is running already.
func serverIn(dir string) error {
	server.Lock()
	defer server.Unlock()
	if server.Server != nil {
		return nil
	}
	// pgserver creates the directory of the server in TMPDIR, which is changed only during the
	// start.
	before, was := os.LookupEnv("TMPDIR")
	err := os.Setenv("TMPDIR", dir)
	if err == nil {
		server.Server, err = pgserver.Start(pgserver.Options{Settings: map[string]string{"max_connections": "200", "shared_buffers": "128MB"}})
	}
	if was {
		return errors.Join(err, os.Setenv("TMPDIR", before))
	}
	return errors.Join(err, os.Unsetenv("TMPDIR"))
}

// stopServer stops the server, if one was started.
func stopServer() error {
	server.Lock()
	defer server.Unlock()
	if server.Server == nil {
		return nil
	}
	s := server.Server
	server.Server = nil
	return s.Stop()
}

// newDatabase creates an empty database on the server. It returns its address and a function to
// drop it.
func newDatabase(ctx context.Context) (dsn string, drop func() error, err error) {
	name := fmt.Sprintf("peers%d", server.databases.Add(1))
	admin := func(statement string) error {
		conn, err := pgx.Connect(ctx, server.DSN("postgres"))
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, statement)
		return errors.Join(err, conn.Close(ctx))
	}
	return server.DSN(name), func() error { return admin("DROP DATABASE " + name + " WITH (FORCE)") }, admin("CREATE DATABASE " + name)
}

// sizeOf returns the size in bytes of the database at an address.
func sizeOf(ctx context.Context, dsn string) (size int64, err error) {
	return size, ask(ctx, dsn, `SELECT pg_database_size(current_database())`, &size)
}

// ask reads one row of a database over a new connection.
func ask(ctx context.Context, dsn, query string, dest ...any) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	return errors.Join(conn.QueryRow(ctx, query).Scan(dest...), conn.Close(ctx))
}

// postgresArms returns the arms on the server. DBOS gets a pool with as many connections as core
// has by default, or creates its own pool of 20.
func postgresArms() []arm {
	return []arm{{"core", openCoreOnPostgres}, {"DBOS, 8 connections", withPool(8)}, {"DBOS, as shipped", withPool(0)}}
}

type oursOnPostgres struct {
	dsn      string
	backend  *postgres.Backend
	engine   *core.Engine
	pipeline *core.Pipeline[State]
}

func openCoreOnPostgres(ctx context.Context, dsn string, _ sqlite.Durability) (engine, error) {
	pipeline, err := newPipeline()
	if err != nil {
		return nil, err
	}
	b, err := postgres.Open(ctx, dsn, postgres.Power) // fails if the server does not keep what it acknowledges
	if err != nil {
		return nil, err
	}
	return &oursOnPostgres{dsn, b, core.NewEngine(core.WithBackend(b)), pipeline}, nil
}

func (o *oursOnPostgres) Run(ctx context.Context, name string) (string, error) {
	res, err := core.Run(ctx, o.engine, o.pipeline, core.RunKey{Run: name}, newState())
	return res.Scope.Final, err
}

func (o *oursOnPostgres) Close(ctx context.Context, runs int) error {
	if err := o.backend.Close(); err != nil {
		return err
	}
	var finished, records int
	err := ask(ctx, o.dsn, `SELECT (SELECT count(*) FROM flujo.runs WHERE status = 2), (SELECT count(*) FROM flujo.steps WHERE length(state) > 1000)`, &finished, &records)
	if err == nil && (finished != runs || records != runs*(1+len(steps))) {
		err = fmt.Errorf("core: expected %d runs of %d steps, stored are %d finished runs and %d records with a state", runs, len(steps), finished, records)
	}
	return err
}

type peerOnPostgres struct {
	ctx dbos.Context
	dsn string
}

// withPool gives DBOS a pool with conns connections; with 0 DBOS creates its own.
func withPool(conns int32) func(context.Context, string, sqlite.Durability) (engine, error) {
	return func(ctx context.Context, dsn string, _ sqlite.Durability) (engine, error) {
		cfg := dbos.Config{DatabaseURL: dsn}
		if conns > 0 {
			config, err := pgxpool.ParseConfig(dsn)
			if err != nil {
				return nil, err
			}
			config.MaxConns, config.MinConns = conns, conns
			pool, err := pgxpool.NewWithConfig(ctx, config)
			if err != nil {
				return nil, err
			}
			cfg = dbos.Config{SystemDBPool: pool}
		}
		c, err := launched(ctx, cfg)
		return &peerOnPostgres{c, dsn}, err
	}
}

func (p *peerOnPostgres) Run(_ context.Context, name string) (string, error) {
	return runWorkflow(p.ctx, name)
}

func (p *peerOnPostgres) Close(ctx context.Context, runs int) error {
	rt, err := internals.RuntimeOf(p.ctx)
	if err == nil {
		err = checkServer(ctx, dbos.PgxPool(rt.SystemDB().Pool()))
	}
	if err = errors.Join(err, dbos.Shutdown(p.ctx, 30*time.Second)); err != nil {
		return err
	}
	var got, records int
	err = ask(ctx, p.dsn, `SELECT (SELECT count(*) FROM dbos.workflow_status JOIN dbos.workflow_input i USING (workflow_uuid)
		JOIN dbos.workflow_output USING (workflow_uuid) WHERE status = 'SUCCESS' AND length(i.inputs) > 1000),
		(SELECT count(*) FROM dbos.operation_outputs WHERE length(output) > 1000)`, &got, &records)
	if err == nil && (got != runs || records != runs*len(steps)) {
		err = fmt.Errorf("DBOS: expected %d runs of %d steps, stored are %d successful runs and %d steps", runs, len(steps), got, records)
	}
	return err
}

// checkServer reads back the settings of the idle connections of a pool.
func checkServer(ctx context.Context, pool *pgxpool.Pool) error {
	conns := pool.AcquireAllIdle(ctx)
	if len(conns) == 0 {
		return errors.New("DBOS keeps no connection open: its settings cannot be read")
	}
	var errs []error
	for _, conn := range conns {
		var got string
		err := conn.QueryRow(ctx, `SELECT current_setting('synchronous_commit') || ' ' || current_setting('fsync') || ' ' || current_setting('full_page_writes')`).Scan(&got)
		if conn.Release(); err == nil && got != "on on on" {
			err = fmt.Errorf("synchronous_commit, fsync and full_page_writes of DBOS are %q", got)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
