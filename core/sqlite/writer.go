package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// The statements of the writer, prepared once.
const (
	stmtBegin = iota
	stmtCommit
	stmtRollback
	stmtInsertPlan
	stmtInsertRun
	stmtOrigin
	stmtInsertStep
	stmtInsertOther
	stmtFinish
	stmtClaim
	stmtReopen
	stmtRenew
	stmtAnswer
	stmtPrune
	stmtCount
)

// insertStep inserts a step record. Unless the lease is good, the run is
// running and the record before is there, the path is NULL, and the column refuses it. Not
// INSERT ... SELECT: from the table itself that goes by way of a temporary one, and keeps a
// copy of every page that it changes.
const insertStep = `INSERT INTO steps (key, path, status, attempts, output, state, started, ended, sum, calls, tokens, cost, feedback, error%s)
	VALUES (?, (SELECT ? FROM runs WHERE id = ? AND epoch = ? AND status = 1
		AND (? = 0 OR EXISTS (SELECT 1 FROM steps WHERE key = ? - 1))), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, %s)`

var statements = [stmtCount]string{
	stmtBegin:    `BEGIN IMMEDIATE`,
	stmtCommit:   `COMMIT`,
	stmtRollback: `ROLLBACK`,
	// Parameters have no numbers: the driver would look each up by its name.
	stmtInsertPlan: `INSERT OR IGNORE INTO plans (plan, text, sum) VALUES (?, ?, ?)`,
	// The number is larger than that of every run that there is or was.
	stmtInsertRun: `INSERT INTO runs (id, tenant, run, pipeline, plan, epoch, status, started, sum, executor, until, held)
		VALUES ((SELECT max(last, coalesce((SELECT max(id) FROM runs), 0)) + 1 FROM gone), ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?)`,
	stmtOrigin:     `UPDATE runs SET origin_tenant = ?, origin_run = ?, origin_seq = ? WHERE id = ?`,
	stmtInsertStep: fmt.Sprintf(insertStep, "", "'', ''"),
	// Pauses, failures and retries: all other steps have nothing in these columns, and take
	// less time without binding them.
	stmtInsertOther: fmt.Sprintf(insertStep, ", token, whom, due", "?, ?, ?, ?, ?"),
	// A pause (status 4) is refused where there are other answers than its executor knows of.
	stmtFinish: `UPDATE runs SET status = ?, error = ?, ended = ?, exits = ?, wake = ?, seen = ?, sum = sum & -4294967296 | ?
		WHERE id = ? AND epoch = ? AND status = 1 AND (? OR (SELECT count(*) FROM answers WHERE run = runs.id) = ?)`,
	// A run that has failed (3) or was cancelled (6) is claimed only on request. Refused if
	// more is saved than the claim has read, unless nobody else can have saved.
	stmtClaim: `UPDATE runs SET epoch = epoch + 1, status = 1, error = '', ended = 0, wake = 0, seen = 0, sum = sum & -4294967296 | ?,
		executor = ?, until = ?, held = ?
		WHERE id = ? AND epoch = ? AND status != 2 AND (? OR status NOT IN (3, 6))
		AND (? OR sum = ? AND (SELECT count(*) FROM answers WHERE run = runs.id) = ? AND NOT EXISTS (SELECT 1 FROM steps WHERE key = ?))`,
	// The state at the end of a run that is continued.
	stmtReopen: `DELETE FROM steps WHERE key = ? AND path = ''`,
	stmtRenew:  `UPDATE runs SET executor = ?, until = ?, held = ? WHERE id = ? AND epoch = ? AND status = 1`,
	// The pause must be there, and the run not at its end.
	stmtAnswer: `INSERT INTO answers (token, answer, at, sum, run) SELECT ?, ?, ?, ?, id FROM runs
		WHERE id = ? AND status NOT IN (2, 3, 6)
		AND EXISTS (SELECT 1 FROM steps WHERE key BETWEEN ? AND ? AND status = 4 AND token = ?)`,
	stmtPrune: `DELETE FROM runs WHERE id = ? AND epoch = ? AND status = ? AND status != 1`,
}

// writer is the one connection that writes: driver calls on prepared
// statements, without database/sql between. Its methods are not safe for
// concurrent use.
type writer struct {
	conn  driver.Conn
	stmts [stmtCount]driver.StmtExecContext
	reads *sql.DB // by way of conn, within its transaction: only where no time matters

	log      string // name of the file
	extended bool   // whether it is extended beforehand
	unlooked int    // transactions since somebody looked at it

	unfit error // why it may not be used any more
}

// newWriter connects. If probed is not nil, the writer uses the connection that it returns.
func newWriter(ctx context.Context, c *sqlitedb.Connector, probed func(driver.Conn) driver.Conn) (*writer, error) {
	conn, err := c.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if probed != nil {
		conn = probed(conn)
	}
	w := &writer{conn: conn, reads: sql.OpenDB(lent{c, conn})}
	w.reads.SetMaxOpenConns(1)
	for i, text := range statements {
		s, err := conn.(driver.ConnPrepareContext).PrepareContext(ctx, text)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("prepare statement %d for database %s: %w", i, c.Path, err), w.close())
		}
		w.stmts[i] = s.(driver.StmtExecContext)
	}
	if w.log, err = logName(ctx, conn); err != nil {
		return nil, errors.Join(fmt.Errorf("find the log of database %s: %w", c.Path, err), w.close())
	}
	if w.extended = c.Durability == sqlitedb.Power; w.extended {
		if err := w.extendWAL(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("extend the log of database %s: %w", c.Path, err), w.close())
		}
	}
	return w, nil
}

// exec runs a statement. A caller's context never gets here: a cancellable one
// costs 1.7 times the time and could interrupt a write half-way.
func (w *writer) exec(stmt int, args []driver.NamedValue) (driver.Result, error) {
	return w.stmts[stmt].ExecContext(context.Background(), args)
}

// affect runs a statement and reports whether it changed a row.
func (w *writer) affect(stmt int, args []driver.NamedValue) (bool, error) {
	res, err := w.exec(stmt, args)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// tx does a job within a transaction: committed when it returns nil, else undone.
func (w *writer) tx(j job) error {
	if w.unfit != nil {
		return w.unfit
	}
	if _, err := w.exec(stmtBegin, nil); err != nil {
		return err
	}
	err := j.do()
	if err == nil {
		_, err = w.exec(stmtCommit, nil)
	}
	if err != nil {
		// SQLite may have rolled back by itself (full disk, I/O error): then there is nothing to undo.
		_, _ = w.exec(stmtRollback, nil)
	}
	return err
}

// autocommit does a job of one statement, which SQLite commits or undoes by itself. A
// statement that writes takes the write lock before it reads, as BEGIN IMMEDIATE does.
func (w *writer) autocommit(j job) error {
	if w.unfit != nil {
		return w.unfit
	}
	return j.do()
}

// careless lets the connection sync nothing from now on.
func (w *writer) careless() error {
	_, err := sqlitedb.Pragma(context.Background(), w.conn, sqlitedb.Setting{Name: "synchronous", Set: "OFF"})
	return err
}

// close finalizes the statements before the connection: one left open would
// keep the lock.
func (w *writer) close() error {
	var errs []error
	for _, s := range w.stmts {
		if s != nil {
			errs = append(errs, s.(driver.Stmt).Close())
		}
	}
	return errors.Join(append(errs, w.reads.Close(), w.conn.Close())...)
}

// lent is a connection that a pool may use and not close. It is its own connector.
type lent struct {
	driver.Connector
	driver.Conn
}

// Connect implements driver.Connector.
func (l lent) Connect(context.Context) (driver.Conn, error) { return l, nil }

// Close implements driver.Conn.
func (lent) Close() error { return nil }

// QueryContext implements driver.QueryerContext.
func (l lent) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return l.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}
