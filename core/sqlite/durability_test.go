package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/flujo/flujo-harness/core/sqlite/internal/probe"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

func TestDurabilityIsReadFromTheConnectionThatSaves(t *testing.T) {
	for _, d := range []sqlitedb.Durability{sqlitedb.Process, sqlitedb.Power} {
		b, err := Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), d)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := b.Durability(); got != d || err != nil {
			t.Errorf("opened at %q, reads %q, %v", d, got, err)
		}
		if _, err := sqlitedb.Pragma(t.Context(), b.w.conn, sqlitedb.Setting{Name: "synchronous", Set: "OFF", Want: "0"}); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Durability(); got != "" || err == nil {
			t.Errorf("switched off, it still reads %q, %v", got, err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := OpenProbed(t.Context(), filepath.Join(t.TempDir(), "x.db"), sqlitedb.Unsynced, probe.Probe{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.Durability(); got != "" || err == nil {
		t.Errorf("unsynced reads %q, %v", got, err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), "unsynced"); err == nil {
		t.Error("Open took the level that is for attribution only")
	}
}
