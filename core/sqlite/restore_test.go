package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	driver "modernc.org/sqlite"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// A database can be restored from a backup while executors have it open, for example by .restore of
// the sqlite3 shell. Numbers of lost runs and epochs of lost claims are then given out again. What
// the executors of these save must not become part of another run.
func TestLeasesFromBeforeARestoreAreFenced(t *testing.T) {
	begin := func(b *Backend, run string) (core.Lease, error) {
		lease, err := b.Start(t.Context(), started(run))
		return lease, errors.Join(err, b.Step(t.Context(), lease, core.StepRecord{Seq: 1, Path: "s1", Status: core.Completed}))
	}
	claim := func(b *Backend, run string) (core.Lease, error) {
		lease, _, err := b.Claim(t.Context(), core.RunKey{Run: run}, 0)
		return lease, err
	}
	for name, do := range map[string]struct {
		before, lost, now func(b *Backend) (core.Lease, error)
	}{
		"a run": {
			func(*Backend) (l core.Lease, err error) { return l, err },
			func(b *Backend) (core.Lease, error) { return begin(b, "lost") },
			func(b *Backend) (core.Lease, error) { return begin(b, "other") }},
		"a run that is started again": {
			func(*Backend) (l core.Lease, err error) { return l, err },
			func(b *Backend) (core.Lease, error) { return begin(b, "r") },
			func(b *Backend) (core.Lease, error) { return begin(b, "r") }},
		"a claim": {
			func(b *Backend) (core.Lease, error) { return begin(b, "r") },
			func(b *Backend) (core.Lease, error) { return claim(b, "r") },
			func(b *Backend) (core.Lease, error) { return claim(b, "r") }},
	} {
		for _, control := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, control %v", name, control), func(t *testing.T) {
				dir := t.TempDir()
				b := mustOpen(t, filepath.Join(dir, "r.db"), sqlitedb.Process)
				_, err := do.before(b)
				if err == nil {
					_, err = b.readers.ExecContext(t.Context(), "VACUUM INTO ?", filepath.Join(dir, "backup.db"))
				}
				if err != nil {
					t.Fatal(err)
				}
				lost, err := do.lost(b)
				if err = errors.Join(err, restore(t.Context(), b, filepath.Join(dir, "backup.db"))); err != nil {
					t.Fatal(err)
				}
				now, err := do.now(b)
				if err != nil || now.ID != lost.ID || now.Epoch != lost.Epoch {
					t.Fatalf("lease %+v, want the number and the epoch of %+v; error %v", now, lost, err)
				}
				if control { // as if there were no nonces
					_, err := b.readers.ExecContext(t.Context(), "UPDATE runs SET nonce = ?", lost.Nonce)
					if err != nil {
						t.Fatal(err)
					}
				}
				switch err := saved(b, lost); {
				case control && err == nil:
					t.Error("nothing was noticed")
				case control:
					t.Logf("noticed: %v", err)
				case err != nil:
					t.Error(err)
				default: // the other executor goes on
					if err := b.Step(t.Context(), now, core.StepRecord{Seq: 2, Path: "s2", Status: core.Completed}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

// saved returns an error unless each save by the lease is fenced.
func saved(b *Backend, l core.Lease) error {
	ctx := context.Background()
	step := core.StepRecord{Seq: 2, Path: "lost", Status: core.Completed}
	errs := map[string]error{
		"heartbeat": core.ErrFenced, // if it is lost
		"step":      b.Step(ctx, l, step),
		"in queue":  b.Enqueue(l, &step).Wait(),
		"pause":     b.Finish(ctx, l, core.FinishRecord{Status: core.Paused, Answers: 1, Time: fixed(1)}),
		"end":       b.Finish(ctx, l, core.FinishRecord{Status: core.Completed, State: []byte("1"), Seq: 2, Time: fixed(1)}),
	}
	if lost, err := b.Renew(ctx, core.Holder{Executor: "lost", Until: fixed(9)}, []core.Lease{l}); err != nil || len(lost) != 1 {
		errs["heartbeat"] = err
	}
	var all []error
	for save, err := range errs {
		if !errors.Is(err, core.ErrFenced) {
			all = append(all, fmt.Errorf("%s: error %v", save, err))
		}
	}
	return errors.Join(all...)
}

// restore copies a backup into the database of a backend while that is open.
func restore(ctx context.Context, b *Backend, backup string) error {
	conn, err := b.readers.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(c any) error {
		from, err := c.(interface {
			NewRestore(from string) (*driver.Backup, error)
		}).NewRestore(backup)
		if err != nil {
			return err
		}
		_, err = from.Step(-1)
		return errors.Join(err, from.Finish())
	})
}

// A database of the first version, without nonces, is migrated when it is opened, and its runs go on. Until then it
// is not read.
func TestFirstVersionIsMigrated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	b := mustOpen(t, path, sqlitedb.Process)
	lease, err := b.Start(t.Context(), started("r"))
	if err == nil {
		err = b.Step(t.Context(), lease, core.StepRecord{Seq: 1, Path: "s1", Status: core.Completed})
	}
	for _, s := range []string{"ALTER TABLE runs DROP COLUMN nonce", "PRAGMA user_version = 1"} {
		if err == nil {
			_, err = b.readers.ExecContext(t.Context(), s)
		}
	}
	if err = errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenReader(t.Context(), path); err == nil || !strings.Contains(err.Error(), "schema version 1") {
		t.Errorf("open to read: %v", err)
	}
	b = mustOpen(t, path, sqlitedb.Process)
	now, run, err := b.Claim(t.Context(), core.RunKey{Run: "r"}, 0)
	if err != nil || len(run.Steps) != 1 || now.Epoch != 2 || now.Nonce == 0 {
		t.Fatalf("%+v, %+v, %v", now, run, err)
	}
	step := core.StepRecord{Seq: 2, Path: "s2", Status: core.Completed}
	if err := b.Step(t.Context(), lease, step); !errors.Is(err, core.ErrFenced) {
		t.Errorf("a save by the old lease: %v", err)
	}
	if err := b.Step(t.Context(), now, step); err != nil {
		t.Error(err)
	}
	if r, err := OpenReader(t.Context(), path); err != nil {
		t.Error(err)
	} else if err := r.Close(); err != nil {
		t.Error(err)
	}
}
