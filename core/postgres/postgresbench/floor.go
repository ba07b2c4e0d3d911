package postgresbench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/core/postgres/internal/probe"
)

// floor replays a recording with bare driver calls.
type floor struct {
	store // only used to create and drop the schema
	pool  *pgxpool.Pool
	conns []*pgxpool.Conn // one per lane
	rec   *Recording
	txs   []replayed
	ids   []int64 // ids of the runs in this database
	next  int     // index of the next transaction
	mark  int
}

// replayed is a transaction of the recording that is ready to be sent.
type replayed struct {
	transaction
	after []int         // earlier transactions on other lanes with the same runs
	done  chan struct{} // closed when it is committed or has failed
}

// OpenFloor implements [corebench.Backend].
func (b *Backend) OpenFloor(ctx context.Context, place, durability string, recording corebench.Recording) (_ corebench.Floor, err error) {
	rec, ok := recording.(*Recording)
	if !ok {
		return nil, fmt.Errorf("replay a recording of type %T: it belongs to another backend", recording)
	}
	f := &floor{rec: rec, ids: make([]int64, rec.runs)}
	if f.store, err = b.open(ctx, place, durability, probe.Probe{}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Discard())
		}
	}()
	if f.pool, err = f.NewPool(ctx); err != nil {
		return nil, err
	}
	for range max(1, rec.lanes) {
		conn, err := f.pool.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		f.conns = append(f.conns, conn)
	}
	f.prepare()
	return f, nil
}

// prepare adapts the statements to the schema of the floor, and finds out which transactions must
// wait for which others.
func (f *floor) prepare() {
	quote := func(schema string) string { return pgx.Identifier{schema}.Sanitize() + "." }
	here := strings.NewReplacer(quote(f.rec.schema), quote(f.schema))
	texts := map[string]string{}
	latest := map[int]int{} // run to its latest transaction
	for i, tx := range f.rec.txs {
		r := replayed{transaction: tx, done: make(chan struct{})}
		r.statements = slices.Clone(tx.statements)
		for j := range r.statements {
			s := &r.statements[j]
			s.args = slices.Clone(s.args)
			text, ok := texts[s.sql]
			if !ok {
				text = here.Replace(s.sql)
				texts[s.sql] = text
			}
			s.sql = text
			if before, ok := latest[s.run]; ok && f.rec.txs[before].lane != tx.lane && before != i && !slices.Contains(r.after, before) {
				r.after = append(r.after, before)
			}
			latest[s.run] = i
		}
		f.txs = append(f.txs, r)
	}
}

// Next implements [corebench.Floor].
func (f *floor) Next() error {
	if f.mark == len(f.rec.marks) {
		return fmt.Errorf("replay operation %d: %d are recorded", f.mark+1, len(f.rec.marks))
	}
	f.mark++
	from, to := f.next, f.rec.marks[f.mark-1]
	overlap := slices.ContainsFunc(f.txs[from:to], func(tx replayed) bool { return tx.lane > 0 })
	if !overlap {
		return f.Replay(to - from)
	}
	f.next = to
	errs := make([]error, len(f.conns))
	var lanes sync.WaitGroup
	for lane := range f.conns {
		lanes.Go(func() {
			for i := from; i < to; i++ {
				if f.txs[i].lane != lane {
					continue
				}
				for _, before := range f.txs[i].after {
					<-f.txs[before].done
				}
				if errs[lane] == nil {
					errs[lane] = f.commit(f.conns[lane], i)
				}
				close(f.txs[i].done)
			}
		})
	}
	lanes.Wait()
	return errors.Join(errs...)
}

// Replay implements [corebench.Floor]. It executes the transactions one after the other.
func (f *floor) Replay(n int) error {
	if left := len(f.txs) - f.next; n > left {
		return fmt.Errorf("replay %d transactions: %d of %d recorded ones are left", n, left, len(f.txs))
	}
	for range n {
		if err := f.commit(f.conns[0], f.next); err != nil {
			return err
		}
		close(f.txs[f.next].done)
		f.next++
	}
	return nil
}

// commit sends a transaction and waits for its result.
func (f *floor) commit(conn *pgxpool.Conn, i int) error {
	ctx := context.Background()
	var batch pgx.Batch
	for j := range f.txs[i].statements {
		s := &f.txs[i].statements[j]
		if s.byID {
			s.args[0] = f.ids[s.run]
		}
		batch.Queue(s.sql, s.args...)
	}
	results := conn.SendBatch(ctx, &batch)
	var err error
	for j := range f.txs[i].statements {
		if s := &f.txs[i].statements[j]; s.returns {
			err = results.QueryRow().Scan(&f.ids[s.run])
		} else if tag, execErr := results.Exec(); execErr != nil || tag.RowsAffected() == 0 {
			err = errors.Join(execErr, errors.New("a statement changed no row"))
		}
		if err != nil {
			break
		}
	}
	if err := errors.Join(err, results.Close()); err != nil {
		return fmt.Errorf("replay transaction %d: %w", i+1, err)
	}
	return nil
}

// Discard implements [corebench.Floor].
func (f *floor) Discard() error {
	for _, conn := range f.conns {
		conn.Release()
	}
	f.conns = nil
	if f.pool != nil {
		f.pool.Close()
	}
	return f.store.Discard()
}
