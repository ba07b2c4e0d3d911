package postgres

import (
	"context"
	"errors"
	"testing"

	"github.com/flujo/flujo-harness/core"
)

// A run that is started in a transaction of the caller exists if, and only if, that transaction
// commits.
func TestStartWithinATransaction(t *testing.T) {
	b := mustOpen(t, Server)
	for _, commit := range []bool{false, true} {
		tx, err := direct(t, b).Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Within(tx).Start(t.Context(), startOf("r")); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Within(tx).Start(t.Context(), startOf("r")); !errors.Is(err, core.ErrRunExists) {
			t.Errorf("a second time: error %v, want %v", err, core.ErrRunExists)
		}
		if _, err := b.Load(t.Context(), keyed("r")); !errors.Is(err, core.ErrRunNotFound) {
			t.Errorf("before the end of the transaction: error %v, want %v", err, core.ErrRunNotFound)
		}
		end := tx.Rollback
		if commit {
			end = tx.Commit
		}
		if err := end(context.Background()); err != nil {
			t.Fatal(err)
		}
		snap, err := b.Load(t.Context(), keyed("r"))
		if commit && (err != nil || snap.Start.PlanText != startOf("r").PlanText) || !commit && !errors.Is(err, core.ErrRunNotFound) {
			t.Errorf("committed %v: error %v, plan %q", commit, err, snap.Start.PlanText)
		}
	}
}
