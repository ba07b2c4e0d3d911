package sqlite

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

// A file with other contents is not changed, whatever its journal mode is.
func TestForeignDatabaseIsRefusedUntouched(t *testing.T) {
	older := []string{"CREATE TABLE runs (id INTEGER PRIMARY KEY, tenant TEXT, run TEXT, plan INTEGER, epoch INTEGER)", "PRAGMA user_version=3"}
	for name, tc := range map[string]struct {
		statements []string
		want       string
	}{
		"another program's, version 0":            {[]string{"CREATE TABLE notes (text)", "INSERT INTO notes VALUES ('mine')"}, "holds no runs of an engine"},
		"another program's, version 1":            {[]string{"CREATE TABLE notes (text)", "PRAGMA user_version=1"}, "holds no runs of an engine"},
		"another program's, with an id":           {[]string{"CREATE TABLE notes (text)", "PRAGMA application_id=7"}, "holds no runs of an engine"},
		"another program's, with a table of runs": {[]string{"CREATE TABLE runs (id)"}, "holds no runs of an engine"},
		"an older format":                         {older, "older format"},
		"an older format, WAL":                    {append([]string{"PRAGMA journal_mode=WAL"}, older...), "older format"},
		"another program's, WAL":                  {[]string{"PRAGMA journal_mode=WAL", "CREATE TABLE notes (text)"}, "holds no runs of an engine"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "r.db")
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			db.SetMaxOpenConns(1)
			for _, s := range tc.statements {
				if _, err := db.ExecContext(t.Context(), s); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range []sqlitedb.Durability{sqlitedb.Process, sqlitedb.Power} {
				b, err := Open(t.Context(), path, d)
				if err == nil {
					err = errors.Join(errors.New("it was opened"), b.Close())
				}
				if !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "nothing was changed") {
					t.Errorf("open: %v, want %q", err, tc.want)
				}
			}
			if _, err := OpenReader(t.Context(), path); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("open to read: %v, want %q", err, tc.want)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
}

// An empty file, or a database in which nothing was ever stored, becomes a database of runs.
func TestEmptyDatabaseIsTaken(t *testing.T) {
	for _, statements := range [][]string{nil, {"PRAGMA journal_mode=WAL"}, {"CREATE TABLE t (x)", "DROP TABLE t"}} {
		path := filepath.Join(t.TempDir(), "r.db")
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range statements {
			if _, err := db.ExecContext(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		recordRuns(t, mustOpen(t, path, sqlitedb.Process))
	}
}

// Deleting a run deletes its rows, whichever program does it. Its number is never reused, because
// an executor may still hold a lease.
func TestDeletedRunTakesItsRecordsAlong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	b := mustOpen(t, path, sqlitedb.Process)
	recordRuns(t, b)
	db, err := sql.Open("sqlite", path) // foreign keys are off here, as in the SQLite shell
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "DELETE FROM runs WHERE run = 'two'"); err != nil {
		t.Fatal(err)
	}
	lease, err := b.Start(t.Context(), started("new"))
	if err != nil || lease.ID != 4 {
		t.Errorf("the next run has number %d, %v; want 4", lease.ID, err)
	}
	if _, err := db.ExecContext(t.Context(), "DELETE FROM runs"); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := db.QueryRowContext(t.Context(), "SELECT (SELECT count(*) FROM steps) + (SELECT count(*) FROM answers)").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d records are left, %v", left, err)
	}
	if lease, err := b.Start(t.Context(), started("last")); err != nil || lease.ID != 5 {
		t.Errorf("the next run has number %d, %v; want 5", lease.ID, err)
	}
}
