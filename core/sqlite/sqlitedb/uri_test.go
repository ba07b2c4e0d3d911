package sqlitedb

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	driversqlite "modernc.org/sqlite"
)

// uris holds paths in every notation, each with its URI.
var uris = []struct{ name, path, uri string }{
	{"unix", "/var/lib/runs.db", "file:/var/lib/runs.db"},
	{"unix, two slashes", "//var/lib/runs.db", "file:////var/lib/runs.db"},
	{"relative", "runs.db", "file:runs.db"},
	{"relative, in folders", "./a/../runs.db", "file:./a/../runs.db"},
	{"drive letter", `C:\Users\me\runs.db`, "file:C:%5CUsers%5Cme%5Cruns.db"},
	{"drive letter, slashes", "C:/Users/me/runs.db", "file:C:/Users/me/runs.db"},
	{"share", `\\server\share\runs.db`, "file:%5C%5Cserver%5Cshare%5Cruns.db"},
	{"share, slashes", "//server/share/runs.db", "file:////server/share/runs.db"},
	{"long path", `\\?\C:\Users\me\runs.db`, "file:%5C%5C%3F%5CC:%5CUsers%5Cme%5Cruns.db"},
	{"long path of a share", `\\?\UNC\server\share\runs.db`, "file:%5C%5C%3F%5CUNC%5Cserver%5Cshare%5Cruns.db"},
	{"blanks", "/my runs/of today.db", "file:/my%20runs/of%20today.db"},
	{"percent", "/100%/a%41.db", "file:/100%25/a%2541.db"},
	{"hash", "/a#b.db", "file:/a%23b.db"},
	{"question mark", "/a?mode=memory.db", "file:/a%3Fmode%3Dmemory.db"},
	{"ampersand and plus", "/a&b+c;d.db", "file:/a%26b%2Bc%3Bd.db"},
	{"not ASCII", "/Läufe/走る.db", "file:/L%C3%A4ufe/%E8%B5%B0%E3%82%8B.db"},
	{"not UTF-8", "/a\xff.db", "file:/a%FF.db"},
	{"line break and quotes", "/a\n\"'b.db", "file:/a%0A%22%27b.db"},
}

func TestFileURI(t *testing.T) {
	for _, tc := range uris {
		if got := fileURI(tc.path); got != tc.uri {
			t.Errorf("%s: the URI of %s is %s, want %s", tc.name, tc.path, got, tc.uri)
		}
		if got, want := fileURI(tc.path, "mode=ro", "vfs=x"), tc.uri+"?mode=ro&vfs=x"; got != want {
			t.Errorf("%s: with parameters it is %s, want %s", tc.name, got, want)
		}
	}
}

// SQLite decodes each URI to the original path. A path that is not absolute on this system,
// such as a Windows path on Unix, names a file in the working directory.
func TestSQLiteReadsFileURI(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("file names of other systems are not allowed here; TestOpenUnderAnyName opens real ones")
	}
	ctx, dir := context.Background(), t.TempDir()
	t.Chdir(dir)
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range uris {
		path := tc.path
		if strings.HasPrefix(path, "/") {
			path = dir + path
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		conn, err := (&driversqlite.Driver{}).Open(fileURI(path, "mode=rwc"))
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		got, err := QueryValue(ctx, conn, "SELECT file FROM pragma_database_list WHERE name = 'main'")
		want := path
		if !filepath.IsAbs(path) {
			want = filepath.Join(dir, path)
		}
		if want = filepath.Clean(want); err != nil || got != want {
			t.Errorf("%s: SQLite opened %v, error %v, want %s", tc.name, got, err, want)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

// folder creates a folder and removes it file by file: Wine 8, under which CI runs this test,
// lacks a system call that os.RemoveAll, and therefore t.TempDir, needs.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "a folder #*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
		if err := errors.Join(err, os.Remove(dir)); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Names that are not file paths are refused, and no file is created.
func TestOpenRefusesWhatIsNoPath(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"", ":memory:", "file:runs.db", "file:runs.db?mode=ro", "runs\x00.db"} {
		if db, err := Open(path, Process); err == nil {
			t.Errorf("%q was opened", path)
			_ = db.Close()
		}
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) != 0 {
		t.Errorf("the folder holds %v, error %v", entries, err)
	}
}

// Creates, writes, reopens and reads databases whose names contain characters with a meaning in
// a URI.
func TestOpenUnderAnyName(t *testing.T) {
	ctx := context.Background()
	for _, name := range []string{"plain.db", "with blanks.db", "100%.db", "a%41.db", "a#b.db", "Läufe 走る.db", "a&mode=ro.db", "a+b;c='d'.db", "what?.db"} {
		if runtime.GOOS == "windows" && strings.ContainsAny(name, `?`) {
			continue // not a valid file name on this system
		}
		path := filepath.Join(folder(t), name)
		for range 2 { // creates the file, then reopens it
			db, err := Open(path, Power)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			_, err = db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS t (x); INSERT INTO t VALUES (1)")
			if err := errors.Join(err, db.Close()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		db, err := OpenReadOnly(ctx, path)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var n int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM t").Scan(&n); err != nil || n != 2 {
			t.Errorf("%s: %d rows, error %v, want 2", name, n, err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(entries) != 1 || entries[0].Name() != name {
			t.Errorf("%s: the folder holds %v, error %v, want this file alone", name, entries, err)
		}
	}
}

// A path that SQLite has no room for is refused by that reason; without the check it is told to be
// a file that cannot be opened.
func TestLongPaths(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the bound is that of Unix")
	}
	dir := t.TempDir()
	for len(dir) < maxPath-50 {
		dir = filepath.Join(dir, strings.Repeat("d", 40))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{maxPath, maxPath + 1} {
		db, err := Open(filepath.Join(dir, strings.Repeat("f", n-len(dir)-1)), Process)
		if err == nil {
			_, err = db.ExecContext(t.Context(), "CREATE TABLE t (x)")
			err = errors.Join(err, db.Close())
		}
		if long := n > maxPath; long != (err != nil) || long && !strings.Contains(err.Error(), "the path has 505 bytes, and SQLite opens at most 504") {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}
