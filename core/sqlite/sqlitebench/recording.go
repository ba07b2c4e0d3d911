package sqlitebench

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"sync"

	"github.com/flujo/flujo-harness/core/sqlite/internal/probe"
)

// Recording holds what a backend committed: statements with their arguments, in order. Replaying it
// on a new database is the minimum that the same saves could cost, which is the floor of a
// measurement.
type Recording struct {
	statements []string // distinct texts
	txs        []transaction
	marks      []int // number of transactions at the end of each operation
}

// transaction holds the statements executed between BEGIN and COMMIT, or a single statement
// executed without them.
type transaction struct {
	single     bool
	executions []execution
	pages      int // estimate of the pages that they write to the log
}

type execution struct {
	statement int // index of the text
	args      []driver.NamedValue
}

// Len returns the number of committed transactions.
func (r *Recording) Len() int { return len(r.txs) }

// Statements returns the number of statements, without BEGIN and COMMIT.
func (r *Recording) Statements() int {
	n := 0
	for _, tx := range r.txs {
		n += len(tx.executions)
	}
	return n
}

// tape records the prepared statements executed on one connection. It copies all bytes.
type tape struct {
	mu      sync.Mutex
	rec     Recording
	begun   bool           // a transaction has begun
	pending transaction    // the transaction that has begun
	known   map[string]int // text to its index
}

// mark marks the end of an operation.
func (t *tape) mark() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rec.marks = append(t.rec.marks, len(t.rec.txs))
}

// recording returns a copy of what is recorded so far.
func (t *tape) recording() *Recording {
	t.mu.Lock()
	defer t.mu.Unlock()
	rec := t.rec
	return &rec
}

// executed adds a statement that has succeeded to the recording. It drops transactions that were
// rolled back or are empty, and single statements that changed nothing.
func (t *tape) executed(query string, args []driver.NamedValue, changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch query {
	case "BEGIN IMMEDIATE", "ROLLBACK":
		t.begun, t.pending = query != "ROLLBACK", transaction{}
		return
	case "COMMIT":
		if len(t.pending.executions) > 0 {
			t.rec.txs = append(t.rec.txs, t.pending)
		}
		t.begun, t.pending = false, transaction{}
		return
	}
	if !t.begun && !changed {
		return
	}
	number, ok := t.known[query]
	if !ok {
		number = len(t.rec.statements)
		t.known[query] = number
		t.rec.statements = append(t.rec.statements, query)
	}
	kept, blobs := make([]driver.NamedValue, len(args)), 0
	for i, a := range args {
		if p, ok := a.Value.([]byte); ok {
			a.Value = bytes.Clone(p)
			blobs += len(p)
		}
		kept[i] = a
	}
	one := execution{number, kept}
	if !t.begun {
		t.rec.txs = append(t.rec.txs, transaction{true, []execution{one}, probe.Pages(blobs)})
		return
	}
	t.pending.executions = append(t.pending.executions, one)
	t.pending.pages += probe.Pages(blobs)
}

// taped is a connection whose prepared statements are recorded.
type taped struct {
	driver.Conn
	tape *tape
}

// PrepareContext implements driver.ConnPrepareContext.
func (c taped) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return tapedStmt{s, query, c.tape}, nil
}

// ExecContext implements driver.ExecerContext. It is used for settings, which are not recorded.
func (c taped) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

// QueryContext implements driver.QueryerContext.
func (c taped) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

type tapedStmt struct {
	driver.Stmt
	query string
	tape  *tape
}

// ExecContext implements driver.StmtExecContext.
func (s tapedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	res, err := s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
	if err == nil {
		rows, rowsErr := res.RowsAffected()
		s.tape.executed(s.query, args, rowsErr != nil || rows > 0)
	}
	return res, err
}

// QueryContext implements driver.StmtQueryContext.
func (s tapedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	queryer, ok := s.Stmt.(driver.StmtQueryContext)
	if !ok {
		return nil, errors.New("the driver's prepared statements do not support queries")
	}
	return queryer.QueryContext(ctx, args)
}
