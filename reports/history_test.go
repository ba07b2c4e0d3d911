package reports

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/thresholds"
)

func open(t *testing.T, path string) *History {
	t.Helper()
	h, err := OpenHistory(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func TestHistoryKeepsRuns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "history.db")
	h := open(t, path)
	broken, _ := brokenRun()
	invalid, _ := invalidRun()
	hostile, _ := hostileRun()
	gomegas := Run{Started: noon, Suites: gomega(t, march), Outcome: thresholds.Broken, ExitCode: 1, Complete: true}
	want := []Run{{}, broken, invalid, hostile, gomegas, {Suites: &Results{}}}
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

	again := open(t, path) // what is in the file, not in the handle
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
	for id, want := range map[int64]int64{6: 5, 5: 4, 4: 2, 99: 6} { // 3 has no suites
		before, err := again.Before(t.Context(), id)
		if err != nil || before == nil || before.ID != want {
			t.Errorf("before %d: %+v, %v, want %d", id, before, err, want)
		}
	}
	if before, err := again.Before(t.Context(), 2); before != nil || err != nil {
		t.Errorf("before the first with suites: %+v, %v", before, err)
	}
	if _, err := again.Load(t.Context(), 77); !errors.Is(err, ErrNoRun) {
		t.Errorf("err = %v, want ErrNoRun", err)
	}
}

func TestAppendIsAllOrNothing(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	twice := spec("x", Passed)
	unknown := spec("y", "splendid")
	notANumber := comparison("w", 1)
	notANumber.CostRatio.Value = math.NaN()
	for name, run := range map[string]Run{
		"the last spec is there twice":  {Suites: results(5, twice, twice)},
		"the last spec has a bad state": {Suites: results(5, unknown)},
		"a figure is not a number":      {Suites: results(5), Comparisons: append(comparisons(1), notANumber)},
	} {
		t.Run(name, func(t *testing.T) {
			if added, err := h.Append(t.Context(), run); err == nil {
				t.Fatalf("appended as %d", added.ID)
			}
			for _, table := range []string{"runs", "suites", "specs", "results"} {
				var n int
				if err := h.db.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
					t.Fatal(err)
				}
				if n != 0 {
					t.Errorf("%d rows left in %s", n, table)
				}
			}
		})
	}
}

// A run that was interrupted comes with a context that is over.
func TestAppendOfAnInterruptedRun(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Append(ctx, Run{Suites: results(3)}); err != nil {
		t.Error(err)
	}
}

func TestTwoHandlesAppendAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.db")
	const handles, runs = 2, 10
	var wait sync.WaitGroup
	for range handles {
		h := open(t, path)
		wait.Go(func() {
			for range runs {
				if _, err := h.Append(context.Background(), Run{Suites: results(20)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	all, err := open(t, path).Latest(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != handles*runs {
		t.Errorf("%d runs, want %d", len(all), handles*runs)
	}
	for _, r := range all {
		if len(r.Suites.Specs) != 20 {
			t.Errorf("run %d has %d specs", r.ID, len(r.Suites.Specs))
		}
	}
}

func TestDamagedHistory(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole.db")
	h, err := OpenHistory(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Append(t.Context(), Run{Suites: gomega(t, march)}); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	noise := func(from, to int) []byte {
		b := bytes.Clone(sound)
		for i := from; i < to; i++ {
			b[i] = byte(i * 31)
		}
		return b
	}
	for name, content := range map[string][]byte{
		"not a database":    []byte(strings.Repeat("this is a diary\n", 500)),
		"short text":        []byte("hello"),
		"pages overwritten": noise(len(sound)/2, len(sound)/2+3*4096),
		"cut short":         sound[:len(sound)/2],
		"schema gone":       noise(100, 4096),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "h.db")
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
			h, err := OpenHistory(t.Context(), path)
			var damaged *DamagedError
			if !errors.As(err, &damaged) {
				if h != nil {
					_ = h.Close()
				}
				t.Fatalf("err = %v, want a DamagedError", err)
			}
			if damaged.Path != path || !strings.Contains(err.Error(), "nothing was changed") || !strings.Contains(err.Error(), "--db") {
				t.Errorf("the error does not say what to do: %v", err)
			}
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(content, after) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestNewerHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.db")
	if _, err := open(t, path).db.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	_, err := OpenHistory(t.Context(), path)
	var newer *sqlite.ErrNewer
	if !errors.As(err, &newer) || newer.Has != 99 || newer.Know != 1 {
		t.Errorf("err = %v, want ErrNewer with both numbers", err)
	}
}

func TestDatabaseOfAnotherProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	db, err := sqlite.OpenDB(path, sqlite.Process)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE wages (amount INTEGER)"); err != nil {
		t.Fatal(err)
	}
	var foreign *ForeignError
	if _, err := OpenHistory(t.Context(), path); !errors.As(err, &foreign) {
		t.Errorf("err = %v, want a ForeignError", err)
	}
	var tables int
	if err := db.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil || tables != 1 {
		t.Errorf("%d tables, %v: it was written into", tables, err)
	}
}

func TestHistoryThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"its folder is a file": filepath.Join(file, "h.db"),
		"deeper":               filepath.Join(file, "a", "b", "h.db"),
		"it is a folder":       t.TempDir(),
	} {
		t.Run(name, func(t *testing.T) {
			h, err := OpenHistory(t.Context(), path)
			var unwritable *UnwritableError
			if !errors.As(err, &unwritable) {
				if h != nil {
					_ = h.Close()
				}
				t.Fatalf("err = %v, want an UnwritableError", err)
			}
			if !strings.Contains(err.Error(), "--db") {
				t.Errorf("the error does not say what to do: %v", err)
			}
		})
	}
}

// Permission bits bind nobody who is root.
func TestReadOnlyHistory(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write anywhere")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "h.db")
	h, err := OpenHistory(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]func(readOnly bool) error{
		"file":   func(ro bool) error { return os.Chmod(path, map[bool]os.FileMode{true: 0o444, false: 0o644}[ro]) },
		"folder": func(ro bool) error { return os.Chmod(dir, map[bool]os.FileMode{true: 0o555, false: 0o755}[ro]) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := set(true); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := set(false); err != nil {
					t.Error(err)
				}
			}()
			var unwritable *UnwritableError
			if _, err := OpenHistory(t.Context(), path); !errors.As(err, &unwritable) {
				t.Errorf("err = %v, want an UnwritableError", err)
			}
		})
	}
}

// The wait is SQLite's own, for a lock that is not given back.
func TestHistoryInUse(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the busy time-out of five seconds")
	}
	path := filepath.Join(t.TempDir(), "h.db")
	tx, err := open(t, path).db.Begin() // immediate: the one writer
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	var inUse *InUseError
	if _, err := OpenHistory(t.Context(), path); !errors.As(err, &inUse) {
		t.Errorf("err = %v, want an InUseError", err)
	}
}

// What is locked is sound: nobody may be told to move it away.
func TestLockedHistoryIsNotDamaged(t *testing.T) {
	h := &History{path: "h.db"}
	for code, want := range map[int]any{
		codeBusy: new(*InUseError), codeLocked: new(*InUseError), codeBusy | 2<<8: new(*InUseError),
		codeCorrupt: new(*DamagedError), codeNotADB: new(*DamagedError), codeCorrupt | 1<<8: new(*DamagedError),
		codeReadOnly: new(*UnwritableError), codeFull: new(*UnwritableError), codeCantOpen: new(*UnwritableError), codeIO: new(*UnwritableError),
	} {
		err := h.explain("open", fmt.Errorf("wrapped: %w", sqliteError(code)))
		if !errors.As(err, want) || !errors.Is(err, sqliteError(code)) {
			t.Errorf("code %d: %T %v, want %T", code, err, err, want)
		}
	}
	var inUse *InUseError
	if err := h.explain("open", sqliteError(codeBusy)); errors.As(err, &inUse) && !strings.Contains(err.Error(), "in use") {
		t.Errorf("it does not say so: %v", err)
	}
}

type sqliteError int

func (e sqliteError) Error() string { return fmt.Sprintf("code %d", int(e)) }
func (e sqliteError) Code() int     { return int(e) }
