package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// traffic saves a run of n steps and returns what it wrote.
func traffic(t *testing.T, d sqlitedb.Durability, n int) TrafficCounts {
	t.Helper()
	path := filepath.Join(t.TempDir(), "odd name%20.db")
	b, tr, err := OpenCounted(t.Context(), path, d)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Stop()
	before := tr.Counts()
	at := time.Unix(1_700_000_000, 0)
	lease, err := b.Start(t.Context(), core.StartRecord{Key: core.RunKey{Run: "r"}, Pipeline: "p", State: []byte("{}"), Time: at})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		rec := core.StepRecord{Seq: int64(i + 1), Path: fmt.Sprintf("s%03d", i), Status: core.Completed, Attempts: 1, Output: make([]byte, 1000), Started: at, Ended: at}
		if err := b.Step(t.Context(), lease, rec); err != nil {
			t.Fatal(err)
		}
	}
	after := tr.Counts()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	return TrafficCounts{after.Writes - before.Writes, after.Bytes - before.Bytes, after.Pages - before.Pages, after.Syncs - before.Syncs}
}

func TestTrafficIsTheSameForTheSameWork(t *testing.T) {
	for _, d := range []sqlitedb.Durability{sqlitedb.Process, sqlitedb.Power} {
		first, again, more := traffic(t, d, 20), traffic(t, d, 20), traffic(t, d, 21)
		if first != again {
			t.Errorf("%s: %+v, and again %+v", d, first, again)
		}
		if first.Pages < 21 || first.Bytes < 21*4096 || more.Pages <= first.Pages {
			t.Errorf("%s: 21 saves wrote %+v, 22 %+v", d, first, more)
		}
		syncs := int64(0)
		if d == sqlitedb.Power {
			syncs = 21 // each commit
		}
		if first.Syncs < syncs || d == sqlitedb.Process && first.Syncs > 1 {
			t.Errorf("%s: %d syncs in 21 saves", d, first.Syncs)
		}
		t.Logf("%s: %+v", d, first)
	}
}

// SQLite opens the file that a link leads to, and so the folder of every temporary file on
// some systems.
func TestTrafficBehindALinkIsCounted(t *testing.T) {
	dir := t.TempDir()
	folder, link := filepath.Join(dir, "folder"), filepath.Join(dir, "link")
	if err := errors.Join(os.Mkdir(folder, 0o700), os.Symlink(folder, link)); err != nil {
		t.Fatal(err)
	}
	b, tr, err := OpenCounted(t.Context(), filepath.Join(link, "r.db"), sqlitedb.Process)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Stop()
	if err := errors.Join(saveRuns(b, 0, 1), b.Close()); err != nil {
		t.Fatal(err)
	}
	if c := tr.Counts(); c.Pages == 0 || c.Writes == 0 {
		t.Errorf("one save wrote %+v", c)
	}
}

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
	b, err := OpenUnsynced(t.Context(), filepath.Join(t.TempDir(), "x.db"))
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

func TestTheFloorReplaysOperationByOperation(t *testing.T) {
	dir := t.TempDir()
	b, err := Open(t.Context(), filepath.Join(dir, "b.db"), sqlitedb.Process)
	if err != nil {
		t.Fatal(err)
	}
	tape := b.Record()
	for i := range 3 {
		for j := range i + 1 {
			if _, err := b.Start(t.Context(), core.StartRecord{Key: core.RunKey{Run: fmt.Sprint(i, j)}, State: []byte("{}")}); err != nil {
				t.Fatal(err)
			}
		}
		b.Mark()
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFloor(t.Context(), filepath.Join(dir, "f.db"), sqlitedb.Process, tape)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := f.Next(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Next(); err == nil {
		t.Error("a fourth operation was replayed")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if tape.Len() != 6 || tape.Statements() != 12 {
		t.Errorf("%d transactions, %d statements", tape.Len(), tape.Statements())
	}
}
