package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// recordRuns fills a database: run a/one has completed, b/one has failed, two is running.
func recordRuns(t *testing.T, b *Backend) {
	t.Helper()
	at := func(s int64) time.Time { return time.Unix(s, 0).UTC() }
	for i, key := range []core.RunKey{{Tenant: "a", Run: "one"}, {Tenant: "b", Run: "one"}, {Run: "two"}} {
		began := int64(100 * (i + 1))
		lease, err := b.Start(t.Context(), core.StartRecord{Key: key, Pipeline: "p", State: []byte("{}"), Time: at(began)})
		if err != nil {
			t.Fatal(err)
		}
		for seq := int64(1); seq <= 2; seq++ {
			rec := core.StepRecord{Seq: seq, Path: "s", Status: core.Completed, Attempts: int(seq), Output: []byte("1"),
				Usage: core.Usage{Calls: seq, Tokens: 10 * seq, Cost: 5}, Started: at(began), Ended: at(began + seq)}
			if err := b.Step(t.Context(), lease, rec); err != nil {
				t.Fatal(err)
			}
		}
		end := []core.FinishRecord{{Status: core.Completed, State: []byte("[]"), Seq: 3, Time: at(began + 9)}, {Status: core.Failed, Error: "no", Time: at(began + 9)}}
		if i < len(end) {
			if err := b.Finish(t.Context(), lease, end[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func mustRead(t *testing.T, path string) *Reader {
	t.Helper()
	r, err := OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestList(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b%?#.db")
	recordRuns(t, mustOpen(t, path, sqlitedb.Process)) // still open, as during the work of an engine
	r := mustRead(t, path)
	all, err := r.List(t.Context(), Filter{})
	if err != nil || len(all) != 3 {
		t.Fatalf("%d runs, error %v", len(all), err)
	}
	want := RunInfo{ID: 2, Key: core.RunKey{Tenant: "b", Run: "one"}, Pipeline: "p", Status: core.Failed, Error: "no", Epoch: 1, Attempts: 3,
		Usage:   core.Usage{Calls: 3, Steps: 2, Tokens: 30, Cost: 10},
		Started: time.Unix(200, 0).UTC(), Saved: time.Unix(202, 0).UTC(), Ended: time.Unix(209, 0).UTC()}
	if d := cmp.Diff(want, all[1]); d != "" {
		t.Errorf("run (-want +got):\n%s", d)
	}
	if running, failed := all[0].Took(), all[1].Took(); running != 2*time.Second || failed != 9*time.Second {
		t.Errorf("took %v up to the latest save, and %v", running, failed)
	}
	for _, tc := range []struct {
		name string
		f    Filter
		want string
	}{
		{"all, newest first", Filter{}, "two b/one a/one"},
		{"limit", Filter{Limit: 2}, "two b/one"},
		{"tenant", Filter{Tenant: new("a")}, "a/one"},
		{"no tenant", Filter{Tenant: new("")}, "two"},
		{"status", Filter{Status: core.Failed}, "b/one"},
		{"name", Filter{Run: "one"}, "b/one a/one"},
		{"name with tenant", Filter{Run: "a/one"}, "a/one"},
		{"name of a tenant", Filter{Run: "one", Tenant: new("a")}, "a/one"},
		{"tenant given twice", Filter{Run: "a/one", Tenant: new("a")}, ""},
		{"no such", Filter{Run: "on"}, ""},
	} {
		runs, err := r.List(t.Context(), tc.f)
		var got []string
		for _, i := range runs {
			got = append(got, i.Key.String())
		}
		if err != nil || strings.Join(got, " ") != tc.want {
			t.Errorf("%s: %v, error %v; want %s", tc.name, got, err, tc.want)
		}
	}
}

// A run whose agents have reported absurd usage must not hide all others.
func TestListOfMoreThanCanBeCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	b := mustOpen(t, path, sqlitedb.Process)
	lease, err := b.Start(t.Context(), started("r"))
	if err != nil {
		t.Fatal(err)
	}
	for seq := int64(1); seq <= 2; seq++ {
		rec := core.StepRecord{Seq: seq, Path: "s", Status: core.Completed, Usage: core.Usage{Tokens: math.MaxInt64, Cost: 1 << 40}, Started: fixed(1), Ended: fixed(2)}
		if err := b.Step(t.Context(), lease, rec); err != nil {
			t.Fatal(err)
		}
	}
	runs, err := mustRead(t, path).List(t.Context(), Filter{})
	if err != nil || len(runs) != 1 || runs[0].Usage != (core.Usage{Steps: 2, Tokens: math.MaxInt64, Cost: 1 << 41}) {
		t.Errorf("%+v, error %v", runs, err)
	}
}

// A list does not read the steps of runs that it does not show.
func TestListSearchesStepsByKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	recordRuns(t, mustOpen(t, path, sqlitedb.Process))
	rows, err := mustRead(t, path).db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+listRuns, nil, "", 0, 1, "", nil, nil, false, false, false, 0, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(detail + "\n")
	}
	if !strings.Contains(plan.String(), "SEARCH s USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)") {
		t.Errorf("plan:\n%s", plan.String())
	}
}

// A reader does not change files, not even next to a journal that a crash left.
func TestReaderLeavesNoTrace(t *testing.T) {
	dir := t.TempDir()
	closed, cut := filepath.Join(dir, "closed.db"), filepath.Join(dir, "cut", "cut.db")
	b, err := Open(t.Context(), closed, sqlitedb.Process)
	if err != nil {
		t.Fatal(err)
	}
	recordRuns(t, b)
	if err := os.Mkdir(filepath.Dir(cut), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, end := range []string{"", "-wal"} { // files that a killed process leaves
		data, err := os.ReadFile(closed + end)
		if err == nil {
			err = os.WriteFile(cut+end, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{closed, cut} {
		before := contents(t, filepath.Dir(path))
		r, err := OpenReader(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		runs, err := r.List(t.Context(), Filter{})
		if err := errors.Join(err, r.Close()); err != nil || len(runs) != 3 {
			t.Errorf("%d runs in %s, error %v", len(runs), path, err)
		}
		if d := cmp.Diff(before, contents(t, filepath.Dir(path))); d != "" {
			t.Errorf("the reader of %s left a trace:\n%s", path, d)
		}
	}
}

// contents returns the files of a directory, without the shared memory, which holds no data.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() || strings.HasSuffix(e.Name(), "-shm") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(data)
	}
	return all
}

func TestReaderCannotWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	recordRuns(t, mustOpen(t, path, sqlitedb.Process))
	if _, err := mustRead(t, path).db.ExecContext(t.Context(), "DELETE FROM steps"); err == nil {
		t.Error("the reader has deleted records")
	}
}

func TestReaderRefuses(t *testing.T) {
	dir := t.TempDir()
	made := func(name string, statements ...string) string {
		path := filepath.Join(dir, name)
		if name != "foreign.db" {
			if err := mustOpen(t, path, sqlitedb.Process).Close(); err != nil {
				t.Fatal(err)
			}
		}
		db, err := sqlitedb.Open(path, sqlitedb.Process)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for _, s := range statements {
			if _, err := db.ExecContext(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	text, empty := filepath.Join(dir, "text.db"), filepath.Join(dir, "empty.db")
	if err := errors.Join(os.WriteFile(text, []byte(strings.Repeat("not a database ", 1000)), 0o600), os.WriteFile(empty, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ path, want string }{
		{filepath.Join(dir, "missing.db"), "no database at"},
		{filepath.Join(dir, "nowhere", "missing.db"), "no database at"},
		{made("newer.db", "PRAGMA user_version=99"), "schema version 99"},
		{made("older.db", "PRAGMA application_id=0", "PRAGMA user_version=3"), "in an older format (schema version 3)"},
		{made("foreign.db", "CREATE TABLE runs (id INTEGER)"), "holds no runs of an engine"},
		{empty, "is empty"},
		{text, "file is not a database"},
		{dir, "unable to open database file"},
		{":memory:", "name a file"},
	} {
		r, err := OpenReader(t.Context(), tc.path)
		if err == nil {
			r.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", tc.path, err, tc.want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "missing.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a missing file was created")
	}
	if got, err := os.ReadFile(empty); err != nil || len(got) != 0 {
		t.Error("an empty file was written")
	}
	var newer *sqlitedb.ErrNewer
	if _, err := OpenReader(context.Background(), filepath.Join(dir, "newer.db")); !errors.As(err, &newer) || newer.Has != 99 {
		t.Errorf("error %v", err)
	}
}

func TestReaderLoadsWhatTheBackendLoads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	b := mustOpen(t, path, sqlitedb.Process)
	recordRuns(t, b)
	key := core.RunKey{Tenant: "a", Run: "one"}
	want, err := b.Load(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	r := mustRead(t, path)
	got, err := r.Load(t.Context(), key)
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("error %v (-backend +reader):\n%s", err, d)
	}
	if _, err := r.Load(t.Context(), core.RunKey{Run: "none"}); !errors.Is(err, core.ErrRunNotFound) {
		t.Errorf("error %v", err)
	}
}

// A list for one tenant shows no run of another tenant, whatever their names are.
func TestListShowsNoOtherTenant(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	tenants := []string{"", "a", "A", "a ", "a\x00", "a\x00b", "a%", "_", "%", "*", "a'b", `a"b`, "a/b", "a;--", "\u00e9", "e\u0301", "\xff", "\xfe", "\ufffd", "NULL", "0", "1 OR 1"}
	b := mustOpen(t, path, sqlitedb.Process)
	for _, tenant := range tenants {
		rec := started("r")
		rec.Key.Tenant = tenant
		if _, err := b.Start(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	r, err := OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, tenant := range tenants {
		got, err := r.List(t.Context(), Filter{Tenant: &tenant})
		if err != nil || len(got) != 1 || got[0].Key.Tenant != tenant {
			t.Errorf("tenant %q: %d runs, %v", tenant, len(got), err)
		}
	}
	if got, err := r.List(t.Context(), Filter{}); err != nil || len(got) != len(tenants) {
		t.Errorf("of all tenants: %d runs of %d, %v", len(got), len(tenants), err)
	}
}
