package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// Tape is what a backend committed, statement by statement with its bytes, in
// order. Replaying it on a fresh database is the least that the same saves could
// cost: the floor of a measurement.
type Tape struct {
	txs   []taped
	marks []int // transactions that were there at the end of each operation
}

// taped is one committed transaction.
type taped []op

type op struct {
	stmt int
	args []driver.NamedValue
}

// Len is the number of committed transactions on the tape.
func (t *Tape) Len() int { return len(t.txs) }

// Record makes the backend write down every transaction that it commits from
// now on. The tape must not be read before the backend is closed. Recording
// copies all bytes: a measured backend does not record.
func (b *Backend) Record() *Tape {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.tape = &Tape{}
	return b.tape
}

// Mark marks the end of an operation: what was committed since the mark before
// belongs to it. Call it where nothing is being saved.
func (b *Backend) Mark() {
	b.writing.Lock()
	defer b.writing.Unlock()
	if b.tape != nil {
		b.tape.marks = append(b.tape.marks, len(b.tape.txs))
	}
}

// Statements is the number of statements on the tape, BEGIN and COMMIT aside.
func (t *Tape) Statements() int {
	n := 0
	for _, tx := range t.txs {
		n += len(tx)
	}
	return n
}

// note adds a statement to the transaction that is being recorded.
func (b *Backend) note(stmt int, args []driver.NamedValue) {
	if b.tape == nil {
		return
	}
	kept := make([]driver.NamedValue, len(args))
	for i, a := range args {
		if p, ok := a.Value.([]byte); ok {
			a.Value = bytes.Clone(p)
		}
		kept[i] = a
	}
	b.pending = append(b.pending, op{stmt, kept})
}

// Floor replays a tape by bare prepared driver calls, in the same transactions,
// on a database that was prepared as the recording one was. It is not safe for
// concurrent use.
type Floor struct {
	w    *writer
	tape *Tape
	next int
	mark int
}

// OpenFloor creates the database at path, as [Open] would, and makes it ready to
// replay the tape from its start.
func OpenFloor(ctx context.Context, path string, d sqlitedb.Durability, tape *Tape) (*Floor, error) {
	c, err := prepare(ctx, path, d)
	if err != nil {
		return nil, sqlitedb.Advise(err)
	}
	w, err := newWriter(ctx, c, nil)
	if err != nil {
		return nil, sqlitedb.Advise(err)
	}
	return &Floor{w: w, tape: tape}, nil
}

// Next commits what was committed up to the next mark.
func (f *Floor) Next() error {
	if f.mark == len(f.tape.marks) {
		return fmt.Errorf("replay operation %d: %d are on the tape", f.mark+1, len(f.tape.marks))
	}
	f.mark++
	return f.Replay(f.tape.marks[f.mark-1] - f.next)
}

// Replay commits the next n transactions of the tape.
func (f *Floor) Replay(n int) error {
	if left := len(f.tape.txs) - f.next; n > left {
		return fmt.Errorf("replay %d transactions: %d of %d are left on the tape", n, left, len(f.tape.txs))
	}
	for _, tx := range f.tape.txs[f.next : f.next+n] {
		if _, err := f.w.exec(stmtBegin, nil); err != nil {
			return fmt.Errorf("replay transaction %d: %w", f.next, err)
		}
		for i := range tx {
			if _, err := f.w.exec(tx[i].stmt, tx[i].args); err != nil {
				return fmt.Errorf("replay transaction %d: %w", f.next, err)
			}
		}
		if _, err := f.w.exec(stmtCommit, nil); err != nil {
			return fmt.Errorf("replay transaction %d: %w", f.next, err)
		}
		f.next++
	}
	return nil
}

// Close closes the database.
func (f *Floor) Close() error { return f.w.close() }

// Discard closes a database that is about to be deleted: see [Backend.Discard].
func (f *Floor) Discard() error { return errors.Join(f.w.careless(), f.Close()) }
