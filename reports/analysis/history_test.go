package analysis

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/thresholds"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// If the results of a suite come from another format than before, its specs are still the same, and
// their containers are those of the first format.
func TestHistoryGoesOnInAnotherFormat(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	for _, name := range []string{"gomega-2024-10-29-eeca931.json.gz", "gomega-2024-10-29-eeca931.xml.gz"} {
		read, err := ingest.ReadFile(filepath.Join("..", "ingest", "testdata", name), "/src/gomega")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Append(t.Context(), reports.Run{Key: name, Suites: read.Results}); err != nil {
			t.Fatal(err)
		}
	}
	runs, err := h.Latest(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	moves := CompareResults(runs[1].Suites, runs[0].Suites, false).Moves
	if len(moves) != 1 || moves[0].Kind != reports.StillFailing || len(moves[0].Spec.Containers) == 0 {
		t.Errorf("moves %+v, want the one that fails in both", moves)
	}
}

func TestHistoryKeepsRuns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "history.db")
	h := open(t, path)
	broken, _ := sample.BrokenRun()
	invalid, _ := sample.InvalidRun()
	hostile, _ := sample.HostileRun()
	gomegas := reports.Run{Started: sample.Noon, Suites: sample.Gomega(t, sample.March, ingest.ReadGinkgo), Outcome: thresholds.Broken, ExitCode: 1, Complete: true}
	want := []reports.Run{{}, broken, invalid, hostile, gomegas, {Suites: &reports.Results{}}}
	for i := range want {
		added, err := h.Append(t.Context(), want[i])
		if err != nil {
			t.Fatal(err)
		}
		if added.ID != int64(i+1) || added.Known {
			t.Errorf("run %d: %+v", i+1, added)
		}
		want[i].ID = added.ID
	}

	again := open(t, path) // reads the file again
	for _, w := range want {
		got, err := again.Load(t.Context(), w.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&w, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("run %d: %s", w.ID, diff)
		}
	}
	latest, err := again.Latest(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(latest) != 2 || latest[0].ID != 6 || latest[1].ID != 5 {
		t.Errorf("latest: %d runs", len(latest))
	}
	for id, want := range map[int64]int64{6: 5, 5: 4, 4: 2, 2: 0} { // 3 has no suites, and 2 is the first that has some
		a, err := Analyze(t.Context(), again, Options{Run: id})
		if err != nil {
			t.Fatal(err)
		}
		if (a.Previous == nil) != (want == 0) || a.Previous != nil && a.Previous.ID != want {
			t.Errorf("before %d: %+v, want %d", id, a.Previous, want)
		}
	}
	if _, err := again.Load(t.Context(), 77); !errors.Is(err, history.ErrNoRun) {
		t.Errorf("err = %v, want ErrNoRun", err)
	}
}

func TestOrderIsThatOfTheStart(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	for _, hour := range []int{3, 1, 2} {
		if _, err := h.Append(t.Context(), reports.Run{Complete: true, Started: sample.Noon.Add(time.Duration(hour) * time.Hour), Suites: sample.Results(hour)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Append(t.Context(), reports.Run{Complete: true, Suites: sample.Results(4)}); err != nil { // an unknown start: placed after all others
		t.Fatal(err)
	}
	latest, err := h.Latest(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{4, 1, 3, 2} {
		if latest[i].ID != want {
			t.Errorf("place %d: run %d, want %d", i, latest[i].ID, want)
		}
		a, err := Analyze(t.Context(), h, Options{Run: want})
		if err != nil {
			t.Fatal(err)
		}
		if (a.Previous == nil) != (i == 3) || a.Previous != nil && a.Previous.ID != latest[i+1].ID {
			t.Errorf("before run %d: %v", want, a.Previous)
		}
	}
}

// A reader does not wait for a writer, and sees the state before its transaction.
func TestReadingWhileAnotherWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.db")
	h := open(t, path)
	if _, err := h.Append(t.Context(), reports.Run{Suites: sample.Results(3)}); err != nil {
		t.Fatal(err)
	}
	tx, err := raw(t, path).Begin() // BEGIN IMMEDIATE takes the write lock
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec("DELETE FROM results"); err != nil {
		t.Fatal(err)
	}
	a, err := Analyze(t.Context(), h, Options{})
	if err != nil || a.Counts.Passed != 3 {
		t.Errorf("%+v, %v", a, err)
	}
	if all, err := h.Latest(t.Context(), 5); err != nil || len(all) != 1 {
		t.Errorf("%d runs, %v", len(all), err)
	}
}
