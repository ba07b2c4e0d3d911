package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
	"github.com/flujo/flujo-harness/harness/workdir"
)

// Retention states which runs to keep: those that either field selects. The newest run and the
// newest complete run of each branch, a possible baseline run, are always kept, also the newest one
// of tests if a newer one only measured.
type Retention struct {
	Newest int       // keep the newest n runs; 0 selects none
	Since  time.Time // keep runs that started at this time or later; zero selects none
}

// Pruned is the result of [History.Prune].
type Pruned struct {
	Removed, Left int   // number of runs
	Before, After int64 // size of the file in bytes
}

// Prune removes all runs that keep does not select, together with names and texts that only they
// use, and shrinks the file. Removing is atomic. Appending a removed run again adds it as a new run.
func (h *History) Prune(ctx context.Context, keep Retention) (Pruned, error) {
	if keep.Newest < 1 && keep.Since.IsZero() {
		return Pruned{}, errors.New("prune: neither the number of runs to keep nor their age is given")
	}
	p := Pruned{Before: h.size()}
	tx, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return Pruned{}, h.explain("prune", err)
	}
	defer tx.Rollback()
	if p.Removed, p.Left, err = pruneRuns(ctx, tx, keep); err != nil {
		return Pruned{}, h.explain("prune", err)
	}
	if p.Removed == 0 {
		p.After = p.Before
		return p, nil
	}
	if err := sweep(ctx, tx); err != nil {
		return Pruned{}, h.explain("prune", err)
	}
	if err := tx.Commit(); err != nil {
		return Pruned{}, h.explain("prune", err)
	}
	for _, statement := range []string{"VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"} {
		if _, err := h.db.ExecContext(ctx, statement); err != nil {
			return p, fmt.Errorf("%d runs were removed, but the file could not be made smaller: %w", p.Removed, h.explain("shrink", err))
		}
	}
	p.After = h.size()
	return p, nil
}

// size returns the size of the file in bytes, or 0 if it cannot be determined.
func (h *History) size() int64 {
	info, err := os.Stat(h.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func pruneRuns(ctx context.Context, tx *sql.Tx, keep Retention) (removed, left int, err error) {
	stay := map[int64]bool{}
	rows, err := newReader(ctx, tx).Rows("ORDER BY at DESC, id DESC")
	if err != nil {
		return 0, 0, err
	}
	type kind struct {
		branch   string
		measured bool
	}
	known := map[kind]bool{}
	for i, r := range rows {
		of := kind{r.Branch, r.Line().Measured}
		newest := !known[of] && r.Complete
		known[of] = known[of] || newest
		if i == 0 || newest || i < keep.Newest || !keep.Since.IsZero() && r.At >= keep.Since.UnixNano() {
			stay[r.ID] = true
		}
	}
	for _, r := range rows {
		if stay[r.ID] {
			continue
		}
		for _, statement := range []string{"DELETE FROM measurements WHERE run_id = ?", "DELETE FROM benchmarks WHERE run_id = ?", "DELETE FROM results WHERE run_id = ?", "DELETE FROM origins WHERE run_id = ?", "DELETE FROM runs WHERE id = ?"} {
			if _, err := tx.ExecContext(ctx, statement, r.ID); err != nil {
				return 0, 0, err
			}
		}
	}
	return len(rows) - len(stay), len(stay), nil
}

// sweep removes shared rows that no run uses.
func sweep(ctx context.Context, tx *sql.Tx) error {
	r := newReader(ctx, tx)
	blobs, names := map[int64]bool{}, map[int64]bool{}
	rows, err := collect(ctx, tx, selectResults, nil, scanResults)
	if err != nil {
		return err
	}
	for _, row := range rows {
		content, err := r.unpack(row.outcomes)
		if err != nil {
			return err
		}
		o, err := unpackOutcomes(content)
		if err != nil {
			return fmt.Errorf("run %d: %w", row.run, err)
		}
		for _, texts := range [][]sparse{o.details, o.messages, o.outputs, o.attached} {
			for _, t := range texts {
				blobs[t.blob] = true
			}
		}
		for _, id := range o.rosters {
			if blobs[id] {
				continue
			}
			blobs[id] = true
			content, err := r.roster(id)
			if err != nil {
				return err
			}
			u := unpacker{b: content}
			for _, name := range rosterIDs(&u) {
				names[name] = true
			}
			if u.err != nil {
				return u.err
			}
		}
	}
	for table, used := range map[string]map[int64]bool{"blobs": blobs, "names": names} {
		all, err := collect(ctx, tx, "SELECT id FROM "+table, nil, scanNumber)
		if err != nil {
			return err
		}
		for _, id := range all {
			if used[id] {
				continue
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE id = ?", id); err != nil {
				return err
			}
		}
	}
	return nil
}

// Backup writes a consistent copy of the history to a new file, even while others use the history.
// It returns the number of runs read back from the copy. An existing file is an error and is not
// overwritten.
func (h *History) Backup(ctx context.Context, path string) (runs int, err error) {
	fail := func(err error) (int, error) { return 0, fmt.Errorf("back up history %s to %s: %w", h.path, path, err) }
	if _, err := os.Lstat(path); err == nil {
		return fail(errors.New("the file already exists: name a new one"))
	}
	var copied error
	err = workdir.Replace(path, func(part string) error {
		if _, copied = h.db.ExecContext(ctx, "VACUUM INTO ?", part); copied != nil {
			return copied
		}
		runs, err = readBack(ctx, part)
		return err
	})
	switch {
	case copied != nil:
		return 0, h.explain("back up", copied)
	case err != nil:
		return fail(err)
	}
	return runs, nil
}

// readBack checks the copy and returns its number of runs. It leaves no other files next to it.
func readBack(ctx context.Context, path string) (int, error) {
	db, err := sqlitedb.Open(path, sqlitedb.Process)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	h := &History{db: db, path: path}
	if err := h.sound(ctx); err != nil {
		return 0, err
	}
	rows, err := newReader(ctx, db).Rows("")
	if err != nil {
		return 0, h.explain("read", err)
	}
	// Leaving WAL mode removes the files -wal and -shm, since only the database itself is renamed.
	if _, err := db.ExecContext(ctx, "PRAGMA journal_mode=DELETE"); err != nil {
		return 0, h.explain("close", err)
	}
	return len(rows), db.Close()
}
