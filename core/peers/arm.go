package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite" // registers SQLite with DBOS
	"github.com/dbos-inc/dbos-transact-golang/dbos/internals"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitebench"
)

// State is the scope of a run: a little over 1,000 bytes as JSON on both sides.
type State struct {
	Request              string
	Draft, Review, Final string
}

func newState() State { return State{Request: strings.Repeat("a request ", 100)} }

// step is the work of one step. It is fast, and the same on both sides.
type step struct {
	name  string
	write func(*State, string)
}

var steps = []step{
	{"draft", func(s *State, v string) { s.Draft = v }},
	{"review", func(s *State, v string) { s.Review = v }},
	{"final", func(s *State, v string) { s.Final = v }},
}

func (s step) work(request string) string { return s.name + " of " + request[:9] }

// engine executes runs on one database file.
type engine interface {
	// Run executes one run with the given unique name and returns the final field of its state.
	Run(ctx context.Context, name string) (string, error)
	// Close ends the engine. It returns an error unless the file holds the given number of finished
	// runs with all their steps, and the settings were the expected ones.
	Close(ctx context.Context, runs int) error
}

// arm is a way to execute the runs.
type arm struct {
	name string
	open func(ctx context.Context, path string, d sqlite.Durability) (engine, error)
}

// arms returns the arms to compare; core is the first. DBOS gets a handle with one connection,
// which never waits for the lock of another one, or with 8, as many as its own pool has, all kept
// open. The arm as shipped has one durability only.
func arms(d sqlite.Durability) []arm {
	if d == onPostgres {
		return postgresArms()
	}
	list := []arm{{"core", openCore}, {"DBOS, 1 connection", withHandle(1)}, {"DBOS, 8 connections", withHandle(8)}}
	if d == sqlite.Process {
		list = append(list, arm{"DBOS, as shipped", openShipped})
	}
	return list
}

type ours struct {
	path       string
	durability sqlite.Durability
	backend    *sqlite.Backend
	engine     *core.Engine
	pipeline   *core.Pipeline[State]
}

// newPipeline returns the pipeline of the run for core.
func newPipeline() (*core.Pipeline[State], error) {
	var nodes []*core.Node[State]
	for _, s := range steps {
		agent := core.Func[string, string](func(_ context.Context, r core.Request[string]) (string, error) { return s.work(r.Input), nil })
		nodes = append(nodes, core.Step(s.name, agent, func(s State) string { return s.Request }, s.write))
	}
	return core.New("peers", nodes...)
}

func openCore(ctx context.Context, path string, d sqlite.Durability) (engine, error) {
	pipeline, err := newPipeline()
	if err != nil {
		return nil, err
	}
	b, err := sqlite.Open(ctx, path, d)
	if err != nil {
		return nil, err
	}
	return &ours{path, d, b, core.NewEngine(core.WithBackend(b)), pipeline}, nil
}

func (o *ours) Run(ctx context.Context, name string) (string, error) {
	res, err := core.Run(ctx, o.engine, o.pipeline, core.RunKey{Run: name}, newState())
	return res.Scope.Final, err
}

// Close relies on package sqlite for the setting synchronous. It belongs to a connection that only
// that package can access; Open reads it back from each one. The journal mode is stored in the
// file.
func (o *ours) Close(ctx context.Context, runs int) error {
	if err := o.backend.Close(); err != nil {
		return err
	}
	var mode string
	if err := inspect(ctx, o.path, "PRAGMA journal_mode", &mode); err != nil || mode != "wal" {
		return errors.Join(err, fmt.Errorf("core left journal_mode %q, want wal", mode))
	}
	got, err := sqlitebench.CountRows(ctx, o.path)
	want := corebench.RowCounts{Runs: int64(runs), Finished: int64(runs), Records: int64(runs * (1 + len(steps)))}
	if err == nil && got != want {
		err = fmt.Errorf("core: expected %+v, stored are %+v", want, got)
	}
	return err
}

type peer struct {
	ctx        dbos.Context
	path       string
	durability sqlite.Durability
}

// withHandle gives DBOS a handle with the pragmas of its own pool, except that the durability is
// the requested one, on every connection.
func withHandle(conns int) func(context.Context, string, sqlite.Durability) (engine, error) {
	return func(ctx context.Context, path string, d sqlite.Durability) (engine, error) {
		level := map[sqlite.Durability]string{sqlite.Process: "NORMAL", sqlite.Power: "FULL"}[d]
		db, err := sql.Open("sqlite", path+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=foreign_keys(ON)"+
			"&_pragma=journal_mode(WAL)&_pragma=synchronous("+level+")")
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(conns)
		db.SetMaxIdleConns(conns)
		return launch(ctx, dbos.Config{SQLiteSystemDB: db}, path, d)
	}
}

// openShipped lets DBOS open the database itself: 8 connections, 4 of them kept open.
func openShipped(ctx context.Context, path string, d sqlite.Durability) (engine, error) {
	return launch(ctx, dbos.Config{DatabaseURL: "sqlite:" + path}, path, d)
}

func launch(ctx context.Context, cfg dbos.Config, path string, d sqlite.Durability) (engine, error) {
	c, err := launched(ctx, cfg)
	return &peer{c, path, d}, err
}

func launched(ctx context.Context, cfg dbos.Config) (dbos.Context, error) {
	cfg.AppName, cfg.Logger = "peers", slog.New(slog.DiscardHandler)
	c, err := dbos.NewContext(ctx, cfg)
	if err != nil {
		return nil, err
	}
	dbos.RegisterWorkflow(c, workflow)
	return c, dbos.Launch(c)
}

// workflow is the run for DBOS: the state is the result of each step.
func workflow(ctx dbos.Context, state State) (string, error) {
	for _, s := range steps {
		next, err := dbos.RunAsStep(ctx, func(context.Context) (State, error) {
			next := state
			s.write(&next, s.work(state.Request))
			return next, nil
		}, dbos.WithStepName(s.name))
		if err != nil {
			return "", err
		}
		state = next
	}
	return state.Final, nil
}

func (p *peer) Run(_ context.Context, name string) (string, error) { return runWorkflow(p.ctx, name) }

func runWorkflow(ctx dbos.Context, name string) (string, error) {
	h, err := dbos.RunWorkflow(ctx, workflow, newState(), dbos.WithWorkflowID(name))
	if err != nil {
		return "", err
	}
	return h.GetResult()
}

func (p *peer) Close(ctx context.Context, runs int) error {
	rt, err := internals.RuntimeOf(p.ctx)
	if err == nil {
		err = checkSettings(ctx, dbos.SQLDB(rt.SystemDB().Pool()), p.durability)
	}
	// Shutdown closes the pool, even if the caller provided it.
	if err = errors.Join(err, dbos.Shutdown(p.ctx, 30*time.Second)); err != nil {
		return err
	}
	var got, records int
	err = inspect(ctx, p.path, `SELECT (SELECT count(*) FROM workflow_status JOIN workflow_input i USING (workflow_uuid)
		JOIN workflow_output USING (workflow_uuid) WHERE status = 'SUCCESS' AND length(i.inputs) > 1000),
		(SELECT count(*) FROM operation_outputs WHERE length(output) > 1000)`, &got, &records)
	if err == nil && (got != runs || records != runs*len(steps)) {
		err = fmt.Errorf("DBOS: expected %d runs of %d steps, stored are %d successful runs and %d steps", runs, len(steps), got, records)
	}
	return err
}

// checkSettings reads back the settings of all connections of a pool. It holds all connections at
// the same time, so that each is a different one.
func checkSettings(ctx context.Context, db *sql.DB, d sqlite.Durability) error {
	want := map[sqlite.Durability]string{sqlite.Process: "wal 1", sqlite.Power: "wal 2"}[d]
	for range db.Stats().MaxOpenConnections {
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		var mode, level string
		err = errors.Join(conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode),
			conn.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&level))
		if got := mode + " " + level; err != nil || got != want {
			return errors.Join(err, fmt.Errorf("journal_mode and synchronous of DBOS are %q, durability %q needs %q", got, d, want))
		}
	}
	return nil
}

// inspect reads one row of the database file, over a connection without any settings.
func inspect(ctx context.Context, path, query string, dest ...any) error {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	return errors.Join(db.QueryRowContext(ctx, query).Scan(dest...), db.Close())
}
