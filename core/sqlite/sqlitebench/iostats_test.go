package sqlitebench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/core/sqlite"
)

// writes saves a run of n steps and returns what was written.
func writes(t *testing.T, d sqlite.Durability, n int) corebench.IOStats {
	t.Helper()
	path := filepath.Join(t.TempDir(), "odd name%20.db")
	b, err := OpenRecorder(t.Context(), path, d)
	if err != nil {
		t.Fatal(err)
	}
	before := b.IO()
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
	after := b.IO()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	return corebench.IOStats{Writes: after.Writes - before.Writes, Bytes: after.Bytes - before.Bytes, Pages: after.Pages - before.Pages, Syncs: after.Syncs - before.Syncs}
}

func TestIOIsTheSameForTheSameWork(t *testing.T) {
	for _, d := range []sqlite.Durability{sqlite.Process, sqlite.Power} {
		first, again, more := writes(t, d, 20), writes(t, d, 20), writes(t, d, 21)
		if first != again {
			t.Errorf("%s: %+v, and again %+v", d, first, again)
		}
		if first.Pages < 21 || first.Bytes < 21*4096 || more.Pages <= first.Pages {
			t.Errorf("%s: 21 saves wrote %+v, 22 %+v", d, first, more)
		}
		syncs := int64(0)
		if d == sqlite.Power {
			syncs = 21 // one for each commit
		}
		if first.Syncs < syncs || d == sqlite.Process && first.Syncs > 1 {
			t.Errorf("%s: %d syncs in 21 saves", d, first.Syncs)
		}
		t.Logf("%s: %+v", d, first)
	}
}

// SQLite opens the file that a link points to. On some systems the directory for temporary files is
// a link.
func TestIOBehindALinkIsCounted(t *testing.T) {
	dir := t.TempDir()
	folder, link := filepath.Join(dir, "folder"), filepath.Join(dir, "link")
	if err := errors.Join(os.Mkdir(folder, 0o700), os.Symlink(folder, link)); err != nil {
		t.Fatal(err)
	}
	b, err := OpenRecorder(t.Context(), filepath.Join(link, "r.db"), sqlite.Process)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Start(t.Context(), core.StartRecord{Key: core.RunKey{Run: "r"}, State: []byte("{}")})
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	if c := b.IO(); c.Pages == 0 || c.Writes == 0 {
		t.Errorf("one save wrote %+v", c)
	}
}
