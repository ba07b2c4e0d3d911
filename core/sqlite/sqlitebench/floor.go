package sqlitebench

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/core/sqlite/internal/probe"
)

// Floor replays a recording with bare prepared driver calls, in the same transactions, on a
// connection that is prepared like that of a backend's writer. It is not safe for concurrent use.
type Floor struct {
	b                       *sqlite.Backend // only its connection is used for saves, and its checkpoints
	inPlaceOfSave           func(pages int, tx func() error) error
	begin, commit, rollback driver.StmtExecContext
	statements              []driver.StmtExecContext
	rec                     *Recording
	next                    int // index of the next transaction
	mark                    int
}

// OpenFloor creates the database at path as [sqlite.Open] would, and prepares to replay the
// recording from its start.
func OpenFloor(ctx context.Context, path string, d sqlite.Durability, rec *Recording) (*Floor, error) {
	var conn driver.Conn
	f := &Floor{rec: rec}
	b, err := sqlite.OpenProbed(ctx, path, d, probe.Probe{Commit: &f.inPlaceOfSave, Conn: func(c driver.Conn) driver.Conn {
		conn = c
		return c
	}})
	if err != nil {
		return nil, err
	}
	f.b = b
	prepare := func(text string) (s driver.StmtExecContext) {
		prepared, prepareErr := conn.(driver.ConnPrepareContext).PrepareContext(ctx, text)
		if prepareErr != nil {
			err = errors.Join(err, fmt.Errorf("prepare a statement of the floor: %w", prepareErr))
			return nil
		}
		return prepared.(driver.StmtExecContext)
	}
	f.begin, f.commit, f.rollback = prepare("BEGIN IMMEDIATE"), prepare("COMMIT"), prepare("ROLLBACK")
	for _, text := range rec.statements {
		f.statements = append(f.statements, prepare(text))
	}
	if err != nil {
		return nil, errors.Join(err, f.close(b.Close))
	}
	return f, nil
}

// Next commits the transactions up to the next mark.
func (f *Floor) Next() error {
	if f.mark == len(f.rec.marks) {
		return fmt.Errorf("replay operation %d: %d are recorded", f.mark+1, len(f.rec.marks))
	}
	f.mark++
	return f.Replay(f.rec.marks[f.mark-1] - f.next)
}

// Replay commits the next n transactions of the recording.
func (f *Floor) Replay(n int) error {
	if left := len(f.rec.txs) - f.next; n > left {
		return fmt.Errorf("replay %d transactions: %d of %d recorded ones are left", n, left, len(f.rec.txs))
	}
	for _, tx := range f.rec.txs[f.next : f.next+n] {
		if err := f.inPlaceOfSave(tx.pages, func() error { return f.replay(tx) }); err != nil {
			return fmt.Errorf("replay transaction %d: %w", f.next+1, err)
		}
		f.next++
	}
	return nil
}

func (f *Floor) replay(tx transaction) error {
	ctx := context.Background()
	if tx.single {
		_, err := f.statements[tx.executions[0].statement].ExecContext(ctx, tx.executions[0].args)
		return err
	}
	if _, err := f.begin.ExecContext(ctx, nil); err != nil {
		return err
	}
	for _, e := range tx.executions {
		if _, err := f.statements[e.statement].ExecContext(ctx, e.args); err != nil {
			_, undoErr := f.rollback.ExecContext(ctx, nil)
			return errors.Join(err, undoErr)
		}
	}
	_, err := f.commit.ExecContext(ctx, nil)
	return err
}

// Close closes the database.
func (f *Floor) Close() error { return f.close(f.b.Close) }

// Discard closes a database that is going to be deleted, see [sqlite.Backend.Discard].
func (f *Floor) Discard() error { return f.close(f.b.Discard) }

// close finalizes the statements before it closes the connection: an open one would keep the lock.
func (f *Floor) close(backend func() error) error {
	var errs []error
	for _, s := range append(f.statements, f.begin, f.commit, f.rollback) {
		if s != nil {
			errs = append(errs, s.(driver.Stmt).Close())
		}
	}
	f.statements, f.begin, f.commit, f.rollback = nil, nil, nil, nil
	return errors.Join(append(errs, backend())...)
}
