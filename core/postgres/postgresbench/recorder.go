package postgresbench

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/core/postgres/internal/probe"
)

// Recording holds what a backend committed: batches of statements, each of which is a transaction
// and a round trip, in the order in which they ended.
type Recording struct {
	schema string // schema named in the statements
	txs    []transaction
	marks  []int // number of transactions at the end of each operation
	runs   int   // number of runs that the statements belong to
	lanes  int   // maximum number of concurrent transactions
}

type transaction struct {
	statements []statement
	begun      int64 // position in the sequence of all beginnings and ends
	ended      int64
	lane       int
}

// statement is a statement that has changed a row.
type statement struct {
	sql     string
	args    []any
	run     int  // index of its run in the recording
	byID    bool // the first argument is the number of the run in the database
	returns bool // the statement returns that number
}

// Len implements [corebench.Recording].
func (r *Recording) Len() int { return len(r.txs) }

// Statements implements [corebench.Recording].
func (r *Recording) Statements() int {
	n := 0
	for _, tx := range r.txs {
		n += len(tx.statements)
	}
	return n
}

// tape records the batches on all connections of a backend. It is a tracer of pgx.
type tape struct {
	mu    sync.Mutex
	now   int64
	txs   []transaction
	marks []int
}

// batchKey is the context key of the current batch.
type batchKey struct{}

// TraceBatchStart implements pgx.BatchTracer.
func (t *tape) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now++
	return context.WithValue(ctx, batchKey{}, &transaction{begun: t.now})
}

// TraceBatchQuery implements pgx.BatchTracer. It does not record reads and refused statements.
func (t *tape) TraceBatchQuery(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	tx, ok := ctx.Value(batchKey{}).(*transaction)
	if !ok || data.Err != nil || data.CommandTag.Select() || data.CommandTag.RowsAffected() == 0 {
		return
	}
	args := make([]any, len(data.Args))
	for i, a := range data.Args {
		if b, ok := a.([]byte); ok && b != nil {
			a = bytes.Clone(b)
		}
		args[i] = a
	}
	tx.statements = append(tx.statements, statement{sql: data.SQL, args: args})
}

// TraceBatchEnd implements pgx.BatchTracer.
func (t *tape) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	tx, ok := ctx.Value(batchKey{}).(*transaction)
	if !ok || data.Err != nil || len(tx.statements) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now++
	tx.ended = t.now
	t.txs = append(t.txs, *tx)
}

// TraceQueryStart implements pgx.QueryTracer, which pgx requires of a tracer of batches.
func (*tape) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (*tape) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// recorder is a store that records everything it commits and counts everything it sends.
type recorder struct {
	store
	tape          *tape
	writes, bytes *atomic.Int64
}

// countedConn counts what is sent.
type countedConn struct {
	net.Conn
	writes, bytes *atomic.Int64
}

func (c countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.writes.Add(1)
	c.bytes.Add(int64(n))
	return n, err
}

// OpenRecorder implements [corebench.Backend].
func (b *Backend) OpenRecorder(ctx context.Context, place, durability string) (corebench.Recorder, error) {
	r := &recorder{tape: &tape{}, writes: new(atomic.Int64), bytes: new(atomic.Int64)}
	var err error
	r.store, err = b.open(ctx, place, durability, probe.Probe{Config: func(c *pgxpool.Config) {
		c.ConnConfig.Tracer = r.tape
		dial := c.ConnConfig.DialFunc
		c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return countedConn{conn, r.writes, r.bytes}, nil
		}
	}})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Mark implements [corebench.Recorder].
func (r *recorder) Mark() {
	r.tape.mu.Lock()
	defer r.tape.mu.Unlock()
	r.tape.marks = append(r.tape.marks, len(r.tape.txs))
}

// IO implements [corebench.Recorder]. It counts what was sent to the server.
func (r *recorder) IO() corebench.IOStats {
	return corebench.IOStats{Writes: r.writes.Load(), Bytes: r.bytes.Load()}
}

// Recording implements [corebench.Recorder].
func (r *recorder) Recording() (corebench.Recording, error) {
	r.tape.mu.Lock()
	rec := &Recording{schema: r.schema, marks: slices.Clone(r.tape.marks)}
	for _, tx := range r.tape.txs {
		tx.statements = slices.Clone(tx.statements)
		rec.txs = append(rec.txs, tx)
	}
	r.tape.mu.Unlock()
	rec.assignLanes()
	return rec, r.findRuns(rec)
}

// findRuns finds out which run each statement belongs to. Statements identify it by its key, or by
// a number that would be different in another database.
func (r *recorder) findRuns(rec *Recording) error {
	known := map[string]int{} // by key and by number
	err := r.home.with(context.Background(), func(conn *pgx.Conn) error {
		rows, err := conn.Query(context.Background(), `SELECT id, key FROM `+pgx.Identifier{r.schema}.Sanitize()+`.runs`)
		if err != nil {
			return err
		}
		var id int64
		var key []byte
		_, err = pgx.ForEachRow(rows, []any{&id, &key}, func() error {
			known[string(key)], known[fmt.Sprint(id)] = rec.runs, rec.runs
			rec.runs++
			return nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("read the recorded runs: %w", err)
	}
	for _, tx := range rec.txs {
		for i := range tx.statements {
			s := &tx.statements[i]
			name := ""
			switch first := s.args[0].(type) {
			case int64:
				name, s.byID = fmt.Sprint(first), true
			case []byte:
				name = string(first)
			}
			var ok bool
			if s.run, ok = known[name]; !ok {
				return fmt.Errorf("a recorded statement belongs to an unknown run: %.80s", s.sql)
			}
			s.returns = strings.HasSuffix(s.sql, "RETURNING run") || strings.HasSuffix(s.sql, "RETURNING id")
		}
	}
	return nil
}

// assignLanes gives each transaction the first lane whose last transaction had ended when it began.
func (rec *Recording) assignLanes() {
	order := make([]int, len(rec.txs))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(rec.txs[a].begun, rec.txs[b].begun) })
	var ends []int64
	for _, i := range order {
		tx := &rec.txs[i]
		lane := slices.IndexFunc(ends, func(end int64) bool { return end < tx.begun })
		if lane < 0 {
			lane = len(ends)
			ends = append(ends, 0)
		}
		ends[lane], tx.lane = tx.ended, lane
	}
	rec.lanes = len(ends)
}
