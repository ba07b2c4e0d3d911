package history

import (
	"context"
	"database/sql"
)

// Objects returns the names of all objects of shared stores (package store) that were written from
// or read into this history, with the ID of their run, or 0 if that run has been pruned.
func (h *History) Objects(ctx context.Context) (map[string]int64, error) {
	known := map[string]int64{}
	err := h.pairs(ctx, "SELECT name, coalesce(id, 0) FROM objects LEFT JOIN runs ON id = run_id", func(rows *sql.Rows) error {
		var name string
		var run int64
		err := rows.Scan(&name, &run)
		known[name] = run
		return err
	})
	return known, err
}

// WithoutObject returns the IDs of the runs for which no object is recorded, in ascending order.
func (h *History) WithoutObject(ctx context.Context) ([]int64, error) {
	runs, err := collect(ctx, h.db, "SELECT id FROM runs WHERE id NOT IN (SELECT run_id FROM objects) ORDER BY id", nil, scanNumber)
	if err != nil {
		return nil, h.explain("read", err)
	}
	return runs, nil
}

// KnowObject records that an object contains a run.
func (h *History) KnowObject(ctx context.Context, name string, run int64) error {
	if _, err := h.db.ExecContext(ctx, "INSERT INTO objects (name, run_id) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET run_id = excluded.run_id", name, run); err != nil {
		return h.explain("write to", err)
	}
	return nil
}

// Packs returns the names of the objects in each pack that [History.KnowPack] recorded.
func (h *History) Packs(ctx context.Context) (map[string][]string, error) {
	packs := map[string][]string{}
	err := h.pairs(ctx, "SELECT pack, name FROM packs", func(rows *sql.Rows) error {
		var pack, name string
		err := rows.Scan(&pack, &name)
		packs[pack] = append(packs[pack], name)
		return err
	})
	return packs, err
}

// KnowPack records the objects that a pack contains. It is atomic.
func (h *History) KnowPack(ctx context.Context, pack string, names []string) error {
	tx, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return h.explain("write to", err)
	}
	defer tx.Rollback()
	for _, name := range names {
		if _, err := tx.ExecContext(ctx, "INSERT INTO packs (pack, name) VALUES (?, ?) ON CONFLICT DO NOTHING", pack, name); err != nil {
			return h.explain("write to", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return h.explain("write to", err)
	}
	return nil
}

// pairs runs a query and calls scan for every row.
func (h *History) pairs(ctx context.Context, query string, scan func(*sql.Rows) error) error {
	_, err := collect(ctx, h.db, query, nil, func(rows *sql.Rows) (struct{}, error) { return struct{}{}, scan(rows) })
	if err != nil {
		return h.explain("read", err)
	}
	return nil
}
