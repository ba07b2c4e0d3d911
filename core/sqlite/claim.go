package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	lib "modernc.org/sqlite/lib"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// Claim implements [core.Backend].
func (b *Backend) Claim(ctx context.Context, key core.RunKey, epoch int64) (core.Lease, core.Snapshot, error) {
	run, err := b.load(ctx, key)
	if err != nil {
		return core.Lease{}, core.Snapshot{}, err
	}
	return b.take(ctx, run, claim{epoch: epoch})
}

// Acquire implements [core.Backend].
func (b *Backend) Acquire(ctx context.Context, known core.Snapshot, h core.Holder) (core.Lease, core.Snapshot, error) {
	c := claim{epoch: known.Epoch, nonce: known.Nonce, holder: h, reopen: true}
	run := stored{Snapshot: known}
	var err error
	if run.row, err = b.row(ctx, known.Start.Key); err == nil && run.sum != run.sumOf(known) {
		run, err = b.load(ctx, known.Start.Key) // the row has changed since known was read
	}
	if err != nil {
		return core.Lease{}, core.Snapshot{}, err
	}
	return b.take(ctx, run, c)
}

// claim says under which conditions a run is claimed, and by whom.
type claim struct {
	epoch  int64 // epoch that the run must have; 0: any
	nonce  int64 // nonce that the run must have; 0: any
	holder core.Holder
	reopen bool // failed and cancelled runs can be claimed too
}

// allows returns an error if a run must not be claimed.
func (c claim) allows(run stored) error {
	switch key := run.Start.Key; {
	case run.Status == core.Completed || run.Status.Ended() && !c.reopen:
		return fmt.Errorf("run %s: %w: %v", key, core.ErrRunFinished, run.Status)
	case c.epoch != 0 && c.epoch != run.Epoch:
		return fmt.Errorf("run %s: epoch %d, now %d: %w", key, c.epoch, run.Epoch, core.ErrFenced)
	case c.nonce != 0 && c.nonce != run.nonce:
		return fmt.Errorf("run %s: the database was set back, and the run claimed again, since it was read: %w", key, core.ErrFenced)
	}
	return nil
}

// take claims a run that was read before.
func (b *Backend) take(ctx context.Context, run stored, c claim) (core.Lease, core.Snapshot, error) {
	if err := c.allows(run); err != nil {
		return core.Lease{}, core.Snapshot{}, err
	}
	lease, claimed := core.Lease{ID: run.id, Epoch: run.Epoch + 1, Nonce: rand.Int64()}, core.Snapshot{}
	err := b.write(ctx, &b.claims, false, func() error {
		now := run
		ok, err := b.claim(now, c, lease.Nonce, false)
		if err == nil && !ok {
			// The previous holder may have saved meanwhile. The run is read again within the
			// transaction, because after the commit an error would be that of a successful claim.
			if now, err = read(context.Background(), b.w.reads, run.Start.Key); err == nil && now.Epoch == run.Epoch && c.allows(now) == nil {
				ok, err = b.claim(now, c, lease.Nonce, true)
			}
		}
		if err == nil && !ok {
			return fmt.Errorf("run %s: %w", run.Start.Key, core.ErrFenced) // it ended, or was claimed by another, meanwhile
		}
		if err == nil && now.Status.Ended() {
			now.State = now.LastState()
			args := b.bind(now.id<<seqBits | int64(len(now.Steps)+1))
			if _, err = b.w.exec(stmtReopen, args); err != nil {
				err = halfDone{err}
			}
		}
		claimed = now.Snapshot
		return err
	})
	if err != nil {
		return core.Lease{}, core.Snapshot{}, err
	}
	claimed.Status, claimed.Error, claimed.Epoch, claimed.Nonce, claimed.Holder = core.Running, "", lease.Epoch, lease.Nonce, c.holder
	claimed.Wake, claimed.Ended = time.Time{}, time.Time{}
	return lease, claimed, nil
}

// claim makes the claimer the holder of the run, unless something was saved after run was read;
// then it returns false. exclusive means that no other process can have saved since.
func (b *Backend) claim(run stored, c claim, nonce int64, exclusive bool) (bool, error) {
	var now int64
	b.buf, now = sumNow(b.buf, current{epoch: run.Epoch + 1, status: core.Running, exits: run.Exits})
	var held int64
	b.buf, held = sumHolder(b.buf, c.holder)
	next := run.id<<seqBits | int64(len(run.Steps)+1)
	if run.ends {
		next++
	}
	args := b.bind(nonce, now, c.holder.Executor, nanos(c.holder.Until), held, run.id, run.nonce, c.reopen,
		exclusive, run.sum, int64(len(run.Answers)), next)
	return b.w.affect(stmtClaim, args)
}

// Renew implements [core.Backend].
func (b *Backend) Renew(ctx context.Context, h core.Holder, leases []core.Lease) (lost []core.Lease, err error) {
	err = b.write(ctx, &b.heartbeats, false, func() error {
		lost = nil // the transaction may be repeated
		var sum int64
		b.buf, sum = sumHolder(b.buf, h)
		for _, l := range leases {
			args := b.bind(h.Executor, nanos(h.Until), sum, l.ID, l.Nonce)
			ok, err := b.w.affect(stmtRenew, args)
			if err != nil {
				return halfDone{err}
			}
			if !ok {
				lost = append(lost, l)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return lost, nil
}

// Signal implements [core.Backend]. It reads only the number of the run.
func (b *Backend) Signal(ctx context.Context, key core.RunKey, rec core.AnswerRecord) error {
	run, err := b.row(ctx, key)
	if err != nil {
		return err
	}
	id := run.id
	err = b.write(ctx, &b.saves, true, func() error {
		args := b.bind(rec.Token, blob(rec.Answer), rec.Time.UnixNano(), sumAnswer(id, &rec), id, id<<seqBits, id<<seqBits|maxSeq, rec.Token)
		ok, err := b.w.affect(stmtAnswer, args)
		if err == nil && !ok {
			err = fmt.Errorf("run %s: %w", key, core.ErrNoPause)
		}
		return err
	})
	if sqlitedb.Code(err) == lib.SQLITE_CONSTRAINT_PRIMARYKEY {
		err = fmt.Errorf("run %s: %w", key, core.ErrAnswered)
	}
	return err
}

// Prune implements [core.Pruner]. Each run is deleted in a transaction of its own, so that a save
// waits for the deletion of one run at most.
func (b *Backend) Prune(ctx context.Context, p core.PruneFilter) (deleted int, more bool, err error) {
	fail := func(err error) (int, bool, error) {
		return deleted, false, fmt.Errorf("prune the runs in %s: %w", b.path, b.trouble(err))
	}
	if b.closed.Load() {
		return fail(core.ErrClosed)
	}
	limit := p.Most()
	var tenant any
	if p.Tenant != nil {
		tenant = *p.Tenant
	}
	rows, err := b.readers.QueryContext(ctx, `SELECT id, nonce, status FROM runs WHERE (?1 = 0 AND status IN (2, 3, 6) OR status = ?1) AND status != 1
		AND ended < ?2 AND (?3 IS NULL OR tenant = ?3) ORDER BY id LIMIT ?4`, int64(p.Status), nanos(p.Before), tenant, limit+1)
	if err != nil {
		return fail(err)
	}
	var old [][3]int64
	for rows.Next() {
		var r [3]int64
		if err := rows.Scan(&r[0], &r[1], &r[2]); err != nil {
			return fail(errors.Join(err, rows.Close()))
		}
		old = append(old, r)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return fail(err)
	}
	more = len(old) > limit
	for _, r := range old[:min(limit, len(old))] {
		gone := false
		err := b.write(ctx, &b.deletions, false, func() (err error) {
			gone, err = b.w.affect(stmtPrune, b.bind(r[0], r[1], r[2])) // does nothing if the run was resumed meanwhile
			return err
		})
		if err != nil {
			return fail(err)
		}
		if gone {
			deleted++
		}
	}
	return deleted, more, nil
}

// row reads the row of a run without its records.
func (b *Backend) row(ctx context.Context, key core.RunKey) (r row, err error) {
	err = b.readers.QueryRowContext(ctx, `SELECT id, nonce, sum, seen FROM runs WHERE tenant = ? AND run = ?`, key.Tenant, key.Run).Scan(&r.id, &r.nonce, &r.sum, &r.seen)
	if errors.Is(err, sql.ErrNoRows) {
		err = core.ErrRunNotFound
	}
	if err != nil && b.closed.Load() {
		err = core.ErrClosed
	}
	if err != nil {
		err = fmt.Errorf("find run %s: %w", key, b.trouble(err))
	}
	return r, err
}
