package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
	"github.com/google/go-cmp/cmp"
)

// migrated creates a new database by migrations: it begins with an empty file.
func migrated(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "migrated.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func own(t testing.TB) fs.FS {
	t.Helper()
	m, err := fs.Sub(files, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// properties returns everything in which two new databases must agree.
func properties(t *testing.T, path string) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	b := mustOpen(t, path, sqlitedb.Power)
	for _, q := range []string{
		"SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema ORDER BY rowid", "PRAGMA user_version", "PRAGMA application_id",
		"PRAGMA journal_mode", "PRAGMA page_size", "PRAGMA page_count", "PRAGMA freelist_count", "PRAGMA encoding", "PRAGMA auto_vacuum", "PRAGMA integrity_check",
	} {
		rows, err := b.readers.QueryContext(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			row, to := make([]sql.NullString, len(columns)), make([]any, len(columns))
			for i := range row {
				to[i] = &row[i]
			}
			if err := rows.Scan(to...); err != nil {
				t.Fatal(err)
			}
			all[q] = append(all[q], fmt.Sprint(row))
		}
		if err := rows.Err(); err != nil || len(all[q]) == 0 {
			t.Fatalf("%s: %d rows, error %v", q, len(all[q]), err)
		}
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	all["mode"] = []string{fi.Mode().String()}
	return all
}

func TestTemplateEqualsMigration(t *testing.T) {
	placed := filepath.Join(t.TempDir(), "placed.db")
	if made, err := place(t.Context(), placed, sqlitedb.Power, own(t)); !made || err != nil {
		t.Fatal("the database was not made from the template")
	}
	if d := cmp.Diff(properties(t, migrated(t)), properties(t, placed)); d != "" {
		t.Errorf("a new database (-migrated +from the template):\n%s", d)
	}
}

func TestTemplateIsPutOverNothing(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"an empty file":           func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"a link to nothing":       func(path string) error { return os.Symlink(path+".elsewhere", path) },
		"a log that was left":     func(path string) error { return os.WriteFile(path+"-wal", []byte("x"), 0o600) },
		"a journal that was left": func(path string) error { return os.WriteFile(path+"-journal", []byte("x"), 0o600) },
		"no such directory":       func(path string) error { return os.Remove(filepath.Dir(path)) },
	} {
		path := filepath.Join(t.TempDir(), "r.db")
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		if made, err := place(t.Context(), path, sqlitedb.Process, own(t)); made || err != nil {
			t.Errorf("%s: a database was put there", name)
		}
		left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".flujo-new-*"))
		if err != nil || len(left) > 0 {
			t.Errorf("%s: leftover files: %v, error %v", name, left, err)
		}
	}
}

// If a database was deleted without its log, the log must not be applied to a new database.
func TestNewDatabaseBesideAnOldLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	b := mustOpen(t, path, sqlitedb.Process)
	if _, err := b.Start(t.Context(), started("0")); err != nil {
		t.Fatal(err)
	}
	lost := imitation(t, path, walBytes)
	if err := os.Remove(lost); err != nil {
		t.Fatal(err)
	}
	if n := found(t, lost); n != 0 {
		t.Error("a new database has a run of the old one")
	}

	control := imitation(t, path, walBytes)
	bytes, err := templateBytes(t.Context(), own(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(control, bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	if n := found(t, control); n != 1 {
		t.Errorf("control: %d runs of the old log in a template that was copied next to it, want 1", n)
	}
}

func TestCreatingAtOnceMakesOneDatabase(t *testing.T) {
	const rounds, openers = 10, 8
	for range rounds {
		path := filepath.Join(t.TempDir(), "r.db")
		errs := make([]error, openers)
		var wg sync.WaitGroup
		for i := range openers {
			wg.Go(func() {
				b, err := Open(t.Context(), path, []sqlitedb.Durability{sqlitedb.Process, sqlitedb.Power}[i%2])
				if err == nil {
					_, err = b.Start(t.Context(), started(fmt.Sprint(i)))
					err = errors.Join(err, b.Close())
				}
				errs[i] = err
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if n := found(t, path); n != openers {
			t.Errorf("%d of %d runs are in the database", n, openers)
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil || slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name()[0] == '.' }) {
			t.Errorf("leftover files: %v, error %v", entries, err)
		}
	}
}

// At durability power it is an error if the name of a new database could be lost, provided that the
// system can sync directories. Durability process has no such guarantee.
func TestNewNameIsDurableAtPower(t *testing.T) {
	original := syncFolder
	t.Cleanup(func() { syncFolder = original })
	for _, tc := range []struct {
		d       sqlitedb.Durability
		err     error
		refused bool
	}{
		{sqlitedb.Power, syscall.EIO, runtime.GOOS != "windows"}, {sqlitedb.Power, syscall.EINVAL, false}, {sqlitedb.Power, errors.ErrUnsupported, false}, {sqlitedb.Power, nil, false},
		{sqlitedb.Process, syscall.EIO, false},
	} {
		syncFolder = func(*os.File) error { return tc.err }
		b, err := Open(t.Context(), filepath.Join(t.TempDir(), "r.db"), tc.d)
		if tc.refused != (err != nil && errors.Is(err, tc.err)) || !tc.refused && err != nil {
			t.Errorf("%s, the sync fails with %v: error %v, want one: %v", tc.d, tc.err, err, tc.refused)
		}
		if err == nil {
			err = b.Close()
		}
		if err != nil && !tc.refused {
			t.Error(err)
		}
	}
}

// BenchmarkOpen compares opening a new database from the template with creating it by migrations.
func BenchmarkOpen(b *testing.B) {
	for _, d := range []sqlitedb.Durability{sqlitedb.Process, sqlitedb.Power} {
		b.Run(string(d), func(b *testing.B) {
			dir := b.TempDir()
			if _, err := templateBytes(b.Context(), own(b)); err != nil { // once per process
				b.Fatal(err)
			}
			open := func(path string) time.Duration {
				began := time.Now()
				c, err := prepare(b.Context(), path, d)
				must(b, err)
				w, err := newWriter(b.Context(), c, nil)
				took := time.Since(began)
				must(b, err)
				must(b, w.close())
				return took
			}
			n := 0
			took := inTurns(b, 1, func(int) ([]func(int) time.Duration, func()) {
				n++
				return []func(int) time.Duration{
					func(int) time.Duration {
						return open(filepath.Join(dir, fmt.Sprintf("template%d.db", n)))
					},
					func(int) time.Duration {
						path := filepath.Join(dir, fmt.Sprintf("migrated%d.db", n))
						must(b, os.WriteFile(path, nil, 0o644))
						return open(path)
					},
				}, func() {}
			})
			reportRatio(b, took[0], took[1])
			reportMedian(b, took[0], 1e6, "template-us")
			reportMedian(b, took[1], 1e6, "migrated-us")
		})
	}
}

// Old leftovers of killed processes are removed, and nothing else.
func TestOldTemplatesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-time.Hour)
	for name, when := range map[string]time.Time{"flujo-template-1": old, "flujo-template-2": time.Now(), "other-template-3": old} {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "new.db"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	removeOldTemplates(dir)
	for name, want := range map[string]bool{"flujo-template-1": false, "flujo-template-2": true, "other-template-3": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s exists: %v, want %v", name, err == nil, want)
		}
	}
}
