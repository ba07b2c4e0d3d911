package sqlitebench

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/core/sqlite"
)

func TestRowsAreCounted(t *testing.T) {
	path, at := filepath.Join(t.TempDir(), "r.db"), time.Unix(1_700_000_000, 0)
	b, err := sqlite.Open(t.Context(), path, sqlite.Process)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for i, run := range []string{"one", "two"} {
		lease, err := b.Start(t.Context(), core.StartRecord{Key: core.RunKey{Run: run}, State: []byte("{}"), Time: at})
		if err == nil && i == 0 {
			err = b.Step(t.Context(), lease, core.StepRecord{Seq: 1, Path: "s", Status: core.Completed, Attempts: 1, Started: at, Ended: at})
		}
		if err == nil && i == 0 {
			err = b.Finish(t.Context(), lease, core.FinishRecord{Status: core.Completed, Time: at})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if c, err := CountRows(t.Context(), path); err != nil || c != (corebench.RowCounts{Runs: 2, Finished: 1, Records: 3}) {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := CountRows(t.Context(), path+"x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}
