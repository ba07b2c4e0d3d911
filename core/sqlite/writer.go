package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// The statements of the writer, prepared once.
const (
	stmtBegin = iota
	stmtCommit
	stmtRollback
	stmtInsertRun
	stmtInsertStep
	stmtFinish
	stmtClaim
	stmtCount
)

var statements = [stmtCount]string{
	stmtBegin:    `BEGIN IMMEDIATE`,
	stmtCommit:   `COMMIT`,
	stmtRollback: `ROLLBACK`,
	stmtInsertRun: `INSERT INTO runs (tenant, run, pipeline, plan, epoch, status, started)
		VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6)`,
	// Nothing is inserted unless the lease is good, the run is running and the record before is there.
	stmtInsertStep: `INSERT INTO steps (key, path, status, attempts, output, feedback, error, state, started, ended, sum)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 FROM runs
		WHERE id = ?12 AND epoch = ?13 AND status = 1 AND (?14 = 0 OR EXISTS (SELECT 1 FROM steps WHERE key = ?1 - 1))`,
	stmtFinish: `UPDATE runs SET status = ?1, error = ?2, ended = ?3 WHERE id = ?4 AND epoch = ?5 AND status = 1`,
	stmtClaim:  `UPDATE runs SET epoch = epoch + 1 WHERE id = ?1 AND epoch = ?2 AND status = 1`,
}

// writer is the one connection that writes: driver calls on prepared
// statements, without database/sql between. Its methods are not safe for
// concurrent use.
type writer struct {
	conn  driver.Conn
	stmts [stmtCount]driver.StmtExecContext
}

func newWriter(ctx context.Context, c *connector) (*writer, error) {
	conn, err := c.Connect(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{conn: conn}
	for i, text := range statements {
		s, err := conn.(driver.ConnPrepareContext).PrepareContext(ctx, text)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("prepare statement %d for database %s: %w", i, c.path, err), w.close())
		}
		w.stmts[i] = s.(driver.StmtExecContext)
	}
	return w, nil
}

// exec runs a statement. A caller's context never gets here: a cancellable one
// costs 1.7 times the time and could interrupt a write half-way.
func (w *writer) exec(stmt int, args []driver.NamedValue) (driver.Result, error) {
	return w.stmts[stmt].ExecContext(context.Background(), args)
}

// affect runs a statement and says whether it changed a row.
func (w *writer) affect(stmt int, args []driver.NamedValue) (bool, error) {
	res, err := w.exec(stmt, args)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// tx runs f within a transaction: committed when f returns nil, else undone.
func (w *writer) tx(f func() error) error {
	if _, err := w.exec(stmtBegin, nil); err != nil {
		return err
	}
	err := f()
	if err == nil {
		_, err = w.exec(stmtCommit, nil)
	}
	if err != nil {
		// SQLite may have rolled back by itself (full disk, I/O error): then there is nothing to undo.
		_, _ = w.exec(stmtRollback, nil)
	}
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
	return errors.Join(append(errs, w.conn.Close())...)
}

// named numbers the arguments of a statement.
func named(buf []driver.NamedValue, values ...driver.Value) []driver.NamedValue {
	for i, v := range values {
		buf = append(buf, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return buf
}
