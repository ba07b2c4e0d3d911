package history

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/reports/internal/sample"

	"github.com/flujo/flujo-harness/reports"
	"github.com/google/go-cmp/cmp"
)

// tenRuns returns a history of ten runs, one hour apart. Each has a spec and a message that no other
// run has.
func tenRuns(t *testing.T) *History {
	t.Helper()
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	for i := range 10 {
		own := sample.Spec(fmt.Sprint("only in run ", i), reports.Failed)
		own.Attachments = []reports.Attachment{{Name: "log", Path: fmt.Sprint("out/", i, ".log")}}
		own.Message = strings.Repeat(fmt.Sprint("message of run ", i, " "), 1000)
		if _, err := h.Append(t.Context(), reports.Run{Started: sample.Noon.Add(time.Duration(i) * time.Hour), Suites: sample.Results(5, own)}); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func TestPrune(t *testing.T) {
	for name, tt := range map[string]struct {
		keep Retention
		left []int64
	}{
		"the newest three":          {Retention{Newest: 3}, []int64{10, 9, 8}},
		"of the last two hours":     {Retention{Since: sample.Noon.Add(7 * time.Hour)}, []int64{10, 9, 8}},
		"the newest always stays":   {Retention{Since: sample.Noon.Add(99 * time.Hour)}, []int64{10}},
		"all":                       {Retention{Newest: 99}, []int64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}},
		"selected by either filter": {Retention{Newest: 1, Since: sample.Noon.Add(8 * time.Hour)}, []int64{10, 9}},
	} {
		t.Run(name, func(t *testing.T) {
			h := tenRuns(t)
			want, err := h.Latest(t.Context(), len(tt.left))
			if err != nil {
				t.Fatal(err)
			}
			p, err := h.Prune(t.Context(), tt.keep)
			if err != nil {
				t.Fatal(err)
			}
			if p.Left != len(tt.left) || p.Removed != 10-p.Left {
				t.Errorf("%+v", p)
			}
			got, err := h.Latest(t.Context(), 99)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			var ids []int64
			for _, r := range got {
				ids = append(ids, r.ID)
			}
			if diff := cmp.Diff(tt.left, ids); diff != "" {
				t.Error(diff)
			}
			var names, blobs int
			if err := h.db.QueryRow("SELECT (SELECT count(*) FROM names), (SELECT count(*) FROM blobs)").Scan(&names, &blobs); err != nil {
				t.Fatal(err)
			}
			if names != 5+p.Left || blobs != 3*p.Left { // each run has a roster, a message and attachments
				t.Errorf("%d names and %d blobs are left of %d runs", names, blobs, p.Left)
			}
			added, err := h.Append(t.Context(), reports.Run{Started: sample.Noon.Add(100 * time.Hour), Suites: sample.Results(5)})
			if err != nil || added.ID != 11 {
				t.Errorf("the next run is %+v, %v", added, err)
			}
		})
	}
	if _, err := tenRuns(t).Prune(t.Context(), Retention{}); err == nil {
		t.Error("an empty Retention is accepted")
	}
}

func TestBackup(t *testing.T) {
	h := tenRuns(t)
	path := filepath.Join(t.TempDir(), "backup.db")
	n, err := h.Backup(t.Context(), path)
	if err != nil || n != 10 {
		t.Fatalf("%d runs, %v", n, err)
	}
	want, err := h.Latest(t.Context(), 99)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readAll(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := h.Backup(t.Context(), path); err == nil || !strings.Contains(err.Error(), "new one") {
		t.Errorf("an existing file: %v", err)
	}
	if _, err := h.Backup(t.Context(), filepath.Join(t.TempDir(), "no", "such", "folder.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || strings.Contains(e.Name(), "-") {
			if e.Name() != "backup.db-wal" && e.Name() != "backup.db-shm" {
				t.Errorf("%s is left", e.Name())
			}
		}
	}
}

// The newest complete run of each branch is kept, because other runs are compared with it.
func TestPruneKeepsTheNewestOfEachBranch(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	for i, branch := range []string{"main", "main", "x", "x", "y"} {
		r := reports.Run{Started: sample.Noon.Add(time.Duration(i) * time.Hour), Branch: branch, Complete: i != 3, Suites: sample.Results(2)}
		r.Origin = reports.Origin{BaseBranch: "main"}
		if _, err := h.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := h.Prune(t.Context(), Retention{Newest: 1}); err != nil || p.Removed != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	left, err := h.Latest(t.Context(), 9)
	if err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for _, r := range left {
		ids = append(ids, r.ID)
	}
	if diff := cmp.Diff([]int64{5, 3, 2}, ids); diff != "" {
		t.Error(diff)
	}
}

// A comparison of benchmarks is no baseline run of tests, so the newest of both is kept.
func TestPruneKeepsTheNewestOfTests(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "h.db"))
	for i := range 4 {
		r := reports.Run{Started: sample.Noon.Add(time.Duration(i) * time.Hour), Branch: "main", Complete: true}
		if i < 2 {
			r.Suites, r.Format = sample.Results(2), reports.FormatGoTest
		}
		if _, err := h.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := h.Prune(t.Context(), Retention{Newest: 1}); err != nil || p.Removed != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	if lines, err := h.LinesOfTests(t.Context(), 9); err != nil || len(lines) != 1 || lines[0].ID != 2 {
		t.Errorf("%v, %v", lines, err)
	}
}
