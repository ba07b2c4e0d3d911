package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// Statements of the writer, which are prepared once.
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

// Leases are compared by their nonce and not by their epoch: in a database that was restored from a
// backup, the numbers of lost runs and the epochs of lost claims are given out again.

// insertStep inserts a step record. Unless the lease is valid, the run is running and the previous
// record exists, the path is NULL, which the column refuses. INSERT ... SELECT is not used: if it
// reads the same table, SQLite uses a temporary table and keeps a copy of every page that it changes.
const insertStep = `INSERT INTO steps (key, path, status, attempts, output, state, started, ended, sum, calls, tokens, cost, feedback, error%s)
	VALUES (?, (SELECT ? FROM runs WHERE id = ? AND nonce = ? AND status = 1
		AND (? = 0 OR EXISTS (SELECT 1 FROM steps WHERE key = ? - 1))), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, %s)`

var statements = [stmtCount]string{
	stmtBegin:    `BEGIN IMMEDIATE`,
	stmtCommit:   `COMMIT`,
	stmtRollback: `ROLLBACK`,
	// Parameters have no numbers, because the driver would look each up by its name.
	stmtInsertPlan: `INSERT OR IGNORE INTO plans (plan, text, sum) VALUES (?, ?, ?)`,
	// The number of a run is larger than those of all runs that exist or existed.
	stmtInsertRun: `INSERT INTO runs (id, tenant, run, pipeline, plan, nonce, epoch, status, started, sum, executor, until, held)
		VALUES ((SELECT max(last, coalesce((SELECT max(id) FROM runs), 0)) + 1 FROM gone), ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?)`,
	stmtOrigin:     `UPDATE runs SET origin_tenant = ?, origin_run = ?, origin_seq = ? WHERE id = ?`,
	stmtInsertStep: fmt.Sprintf(insertStep, "", "'', ''"),
	// Only pauses, failures and retries use these columns. Other steps are faster without
	// binding them.
	stmtInsertOther: fmt.Sprintf(insertStep, ", token, whom, due", "?, ?, ?, ?, ?"),
	// A pause (status 4) is refused if there are answers that its executor does not know.
	stmtFinish: `UPDATE runs SET status = ?, error = ?, ended = ?, exits = ?, wake = ?, seen = ?, sum = sum & -4294967296 | ?
		WHERE id = ? AND nonce = ? AND status = 1 AND (? OR (SELECT count(*) FROM answers WHERE run = runs.id) = ?)`,
	// A run that has failed (3) or was cancelled (6) is claimed only on request. The claim is
	// refused if more was saved than it has read, unless no other process can have saved.
	stmtClaim: `UPDATE runs SET epoch = epoch + 1, nonce = ?, status = 1, error = '', ended = 0, wake = 0, seen = 0, sum = sum & -4294967296 | ?,
		executor = ?, until = ?, held = ?
		WHERE id = ? AND nonce = ? AND status != 2 AND (? OR status NOT IN (3, 6))
		AND (? OR sum = ? AND (SELECT count(*) FROM answers WHERE run = runs.id) = ? AND NOT EXISTS (SELECT 1 FROM steps WHERE key = ?))`,
	// The state at the end of a run that is continued.
	stmtReopen: `DELETE FROM steps WHERE key = ? AND path = ''`,
	stmtRenew:  `UPDATE runs SET executor = ?, until = ?, held = ? WHERE id = ? AND nonce = ? AND status = 1`,
	// The pause must exist, and the run must not have ended.
	stmtAnswer: `INSERT INTO answers (token, answer, at, sum, run) SELECT ?, ?, ?, ?, id FROM runs
		WHERE id = ? AND status NOT IN (2, 3, 6)
		AND EXISTS (SELECT 1 FROM steps WHERE key BETWEEN ? AND ? AND status = 4 AND token = ?)`,
	stmtPrune: `DELETE FROM runs WHERE id = ? AND nonce = ? AND status = ? AND status != 1`,
}

// writer is the only connection that writes. It calls the driver with prepared statements, without
// database/sql. Its methods are not safe for concurrent use.
type writer struct {
	conn  driver.Conn
	stmts [stmtCount]driver.StmtExecContext
	reads *sql.DB // uses conn, within its transaction; slow, only for rare reads

	log      string // name of the write-ahead log
	extended bool   // the log is extended in advance
	unlooked int    // number of transactions since its size was checked

	unfit error // why the writer must not be used any more; nil: it may
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

// exec runs a statement. It takes no context of the caller: a context that can be cancelled makes it
// 1.7 times as slow, and could interrupt a write.
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

// tx runs a job in a transaction, which is committed if the job returns nil and rolled back otherwise.
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
		// SQLite may have rolled back already, after a full disk or an I/O error.
		_, _ = w.exec(stmtRollback, nil)
	}
	return err
}

// autocommit runs a job of one statement, which SQLite commits or rolls back by itself. A statement
// that writes takes the write lock before it reads, as BEGIN IMMEDIATE does.
func (w *writer) autocommit(j job) error {
	if w.unfit != nil {
		return w.unfit
	}
	return j.do()
}

// careless turns syncing off for this connection.
func (w *writer) careless() error {
	_, err := sqlitedb.Pragma(context.Background(), w.conn, sqlitedb.Setting{Name: "synchronous", Set: "OFF"})
	return err
}

// close finalizes the statements before it closes the connection, because an open statement would keep
// the lock.
func (w *writer) close() error {
	var errs []error
	for _, s := range w.stmts {
		if s != nil {
			errs = append(errs, s.(driver.Stmt).Close())
		}
	}
	return errors.Join(append(errs, w.reads.Close(), w.conn.Close())...)
}

// lent is a connection that a pool may use but not close. It is its own connector.
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
