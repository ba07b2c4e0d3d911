package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flujo/flujo-harness/core"
)

// claim says under which conditions a run is claimed, and by whom.
type claim struct {
	epoch  int64 // epoch that the run must have; 0: any
	nonce  int64 // nonce that the run must have; 0: any
	holder core.Holder
	reopen bool // failed and cancelled runs can be claimed too
}

// allows returns an error if a run must not be claimed.
func (c claim) allows(run *stored) error {
	switch {
	case run.Status == core.Completed || run.Status.Ended() && !c.reopen:
		return fmt.Errorf("%w: %v", core.ErrRunFinished, run.Status)
	case c.epoch != 0 && c.epoch != run.Epoch:
		return fmt.Errorf("epoch %d, now %d: %w", c.epoch, run.Epoch, core.ErrFenced)
	case c.nonce != 0 && c.nonce != run.Nonce:
		return fmt.Errorf("the database was set back, and the run claimed again, since it was read: %w", core.ErrFenced)
	}
	return nil
}

// Claim implements [core.Backend].
func (b *Backend) Claim(ctx context.Context, key core.RunKey, epoch int64) (core.Lease, core.Snapshot, error) {
	return b.claim(ctx, key, claim{epoch: epoch})
}

// Acquire implements [core.Backend]. If nothing was saved since known was loaded, it needs one
// statement.
func (b *Backend) Acquire(ctx context.Context, known core.Snapshot, h core.Holder) (core.Lease, core.Snapshot, error) {
	key, nonce := keyOf(known.Start.Key), rand.Int64()
	lease := core.Lease{Epoch: known.Epoch + 1, Nonce: nonce}
	sum := current{epoch: lease.Epoch, status: core.Running, exits: known.Exits}.sum()
	s := &save{sql: b.sql.acquire, counter: &b.claims, returns: true, args: []any{key, known.Epoch, int16(known.Status), int64(len(known.Steps)),
		int64(len(known.Answers)), nonce, sum, text(h.Executor), nanos(h.Until), sumHolder(h), known.Nonce}}
	s.made = func(ctx context.Context, q querier) (bool, error) {
		return found(q.QueryRow(ctx, b.sql.claimMade, key, nonce).Scan(&s.id))
	}
	if err := b.alone(ctx, s); err != nil {
		return core.Lease{}, core.Snapshot{}, fmt.Errorf("claim run %s: %w", known.Start.Key, err)
	}
	if !s.done {
		return b.claim(ctx, known.Start.Key, claim{epoch: known.Epoch, nonce: known.Nonce, holder: h, reopen: true})
	}
	lease.ID = s.id
	return lease, claimed(known, lease, h), nil
}

// claimed returns the snapshot of a run after it was claimed.
func claimed(s core.Snapshot, lease core.Lease, h core.Holder) core.Snapshot {
	s.Status, s.Error, s.Epoch, s.Nonce, s.Holder, s.Wake, s.Ended = core.Running, "", lease.Epoch, lease.Nonce, h, time.Time{}, time.Time{}
	return s
}

// claim reads and claims a run in one transaction. The previous holder may be saving; therefore the
// row is locked first, and each later statement sees what was committed before the lock.
func (b *Backend) claim(ctx context.Context, k core.RunKey, c claim) (lease core.Lease, snap core.Snapshot, err error) {
	fail := func(err error) (core.Lease, core.Snapshot, error) {
		return core.Lease{}, core.Snapshot{}, fmt.Errorf("claim run %s: %w", k, err)
	}
	leave, err := b.enter(ctx)
	if err != nil {
		return fail(err)
	}
	defer leave()
	nonce, doubt := rand.Int64(), false
	err = b.persist(time.Now(), &doubt, func(ctx context.Context, conn *pgxpool.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			run, err := b.readIn(ctx, tx, k, b.sql.lock)
			if err != nil {
				return err
			}
			if doubt && run.Nonce == nonce { // an earlier attempt took effect
				lease, snap = core.Lease{ID: run.id, Epoch: run.Epoch, Nonce: nonce}, run.Snapshot
				return nil
			}
			if err := c.allows(&run); err != nil {
				return err
			}
			lease = core.Lease{ID: run.id, Epoch: run.Epoch + 1, Nonce: nonce}
			seq := int64(len(run.Steps))
			sum := current{epoch: lease.Epoch, status: core.Running, exits: run.Exits}.sum()
			if _, err := tx.Exec(ctx, b.sql.claim, run.id, lease.Epoch, nonce, seq, sum, text(c.holder.Executor), nanos(c.holder.Until), sumHolder(c.holder)); err != nil {
				return err
			}
			if run.ends { // remove the record of the state at the end
				if _, err := tx.Exec(ctx, b.sql.reopen, run.id, seq+1); err != nil {
					return err
				}
			}
			if run.Status.Ended() {
				run.State = run.LastState()
			}
			snap = claimed(run.Snapshot, lease, c.holder)
			return nil
		})
	})
	if err != nil {
		return fail(err)
	}
	b.claims.Add(1)
	b.commits.Add(1)
	return lease, snap, nil
}

// Renew implements [core.Backend]. Repeating it is harmless, so its outcome is never in doubt.
func (b *Backend) Renew(ctx context.Context, h core.Holder, leases []core.Lease) (lost []core.Lease, err error) {
	leave, err := b.enter(ctx)
	if err != nil {
		return nil, fmt.Errorf("heartbeat: %w", err)
	}
	defer leave()
	ids, nonces := make([]int64, len(leases)), make([]int64, len(leases))
	for i, l := range leases {
		ids[i], nonces[i] = l.ID, l.Nonce
	}
	var held map[core.Lease]bool
	err = b.persist(time.Now(), new(bool), func(ctx context.Context, conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, b.sql.renew, ids, nonces, text(h.Executor), nanos(h.Until), sumHolder(h))
		if err != nil {
			return err
		}
		held = map[core.Lease]bool{}
		var l core.Lease
		_, err = pgx.ForEachRow(rows, []any{&l.ID, &l.Epoch, &l.Nonce}, func() error {
			held[l] = true
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("heartbeat: %w", err)
	}
	b.heartbeats.Add(1)
	for _, l := range leases {
		if !held[l] {
			lost = append(lost, l)
		}
	}
	return lost, nil
}

// Prune implements [core.Pruner]. Each run is deleted in a transaction of its own, so that
// saves wait for one run at most.
func (b *Backend) Prune(ctx context.Context, p core.PruneFilter) (deleted int, more bool, err error) {
	fail := func(err error) (int, bool, error) { return deleted, false, fmt.Errorf("prune runs: %w", err) }
	var q query
	q.where("status <> 1 AND ended < " + q.arg(nanos(p.Before)))
	if p.Status == 0 {
		q.where("status IN (2, 3, 6)")
	} else {
		q.where("status = " + q.arg(int16(p.Status)))
	}
	if p.Tenant != nil {
		q.where("tenant = " + q.arg(text(*p.Tenant)))
	}
	limit := p.Most()
	type old struct {
		id, nonce int64
		status    int16
	}
	var all []old
	err = b.read(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, qualify(`SELECT id, nonce, status FROM @.runs`+q.conditions()+` ORDER BY id LIMIT `+q.arg(int64(limit)+1), b.server.quoted()), q.args...)
		if err != nil {
			return err
		}
		all = nil
		var r old
		_, err = pgx.ForEachRow(rows, []any{&r.id, &r.nonce, &r.status}, func() error {
			all = append(all, r)
			return nil
		})
		return err
	})
	if err != nil {
		return fail(err)
	}
	for _, r := range all[:min(limit, len(all))] {
		gone, err := b.delete(ctx, r.id, r.nonce, r.status)
		if err != nil {
			return fail(err)
		}
		if gone {
			deleted++
		}
	}
	return deleted, len(all) > limit, nil
}

// delete deletes a run, unless it was resumed meanwhile.
func (b *Backend) delete(ctx context.Context, id, nonce int64, status int16) (gone bool, err error) {
	leave, err := b.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	doubt := false
	err = b.persist(time.Now(), &doubt, func(ctx context.Context, conn *pgxpool.Conn) error {
		var statements pgx.Batch
		statements.Queue(b.sql.pruneRun, id, nonce, status)
		// After the row: an answer that came at the same time is seen only by a later statement.
		statements.Queue(b.sql.pruneSteps, id)
		statements.Queue(b.sql.pruneAnswers, id)
		results := conn.SendBatch(ctx, &statements)
		tag, err := results.Exec()
		if err := errors.Join(err, results.Close()); err != nil {
			return err
		}
		gone = tag.RowsAffected() > 0 || doubt
		return nil
	})
	return gone, err
}
