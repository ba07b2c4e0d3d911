package walvfs

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"modernc.org/libc"
	_ "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
	"pgregory.net/rapid"

	"github.com/flujo/flujo-harness/core/sqlite/internal/shim"
)

// A file system below that counts the writes to logs and lets them fail. Tests that use it do not run
// in parallel.
var (
	logWrites atomic.Int64
	failAt    atomic.Int64 // number of the write that fails, counted from 1; 0: none

	openBelow  shim.OpenFunc
	writeBelow shim.WriteFunc
	deriveOnce = sync.OnceValue(func() error {
		return shim.Derive("", "walvfs-test", func(vfs *lib.Tsqlite3_vfs) {
			openBelow = shim.Function[shim.OpenFunc](vfs.FxOpen)
			vfs.FxOpen = shim.Pointer(openCounted)
		})
	})
)

func openCounted(tls *libc.TLS, vfs, name, id uintptr, flags int32, out uintptr) int32 {
	rc := openBelow(tls, vfs, name, id, flags, out)
	if rc == lib.SQLITE_OK && flags&lib.SQLITE_OPEN_WAL != 0 {
		f := shim.At[lib.Tsqlite3_file](id)
		copied := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(lib.Tsqlite3_io_methods{})))
		m := shim.At[lib.Tsqlite3_io_methods](copied)
		*m = *shim.At[lib.Tsqlite3_io_methods](f.FpMethods)
		writeBelow, m.FxWrite, f.FpMethods = shim.Function[shim.WriteFunc](m.FxWrite), shim.Pointer(writeCounted), copied
	}
	return rc
}

func writeCounted(tls *libc.TLS, id, data uintptr, n int32, offset int64) int32 {
	if logWrites.Add(1) == failAt.Load() {
		return lib.SQLITE_FULL
	}
	return writeBelow(tls, id, data, n, offset)
}

// connect opens a connection to the database at path, with a cache of two pages.
func connect(t testing.TB, path, vfs string) *sql.Conn {
	t.Helper()
	uri := "file:" + path + "?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=wal_autocheckpoint(0)&_pragma=cache_size(2)"
	if vfs != "" {
		uri += "&vfs=" + vfs
	}
	db, err := sql.Open("sqlite", uri)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(0) // closes the connection when it is returned
	t.Cleanup(func() { _ = db.Close() })
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// over returns the name of the file system above the one of the tests.
func over(t testing.TB) string {
	t.Helper()
	if err := deriveOnce(); err != nil {
		t.Fatal(err)
	}
	name, err := Over("walvfs-test")
	if err != nil {
		t.Fatal(err)
	}
	logWrites.Store(0)
	failAt.Store(0)
	return name
}

// tb is a [testing.T] or a [rapid.T].
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func exec(t tb, c *sql.Conn, query string, args ...any) {
	t.Helper()
	if _, err := c.ExecContext(context.Background(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

const createTable = "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, v TEXT NOT NULL)"

// rows returns the contents of the table.
func rows(t tb, c *sql.Conn) map[int]string {
	t.Helper()
	got, err := c.QueryContext(context.Background(), "SELECT id, v FROM t")
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	all := map[int]string{}
	for got.Next() {
		var id int
		var v string
		if err := got.Scan(&id, &v); err != nil {
			t.Fatal(err)
		}
		all[id] = v
	}
	if err := got.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// recovered returns the contents of the table after kill -9: those of copies of the database and its
// log, opened without the file system of this package.
func recovered(t tb, path string) map[int]string {
	t.Helper()
	dir, err := os.MkdirTemp(filepath.Dir(path), "copy")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, end := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + end)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "t.db"+end), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "t.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var sound string
	if err := c.QueryRowContext(context.Background(), "PRAGMA integrity_check").Scan(&sound); err != nil || sound != "ok" {
		t.Fatalf("a copy of the database is damaged: %s %v", sound, err)
	}
	return rows(t, c)
}

func TestTransactionIsWrittenAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	c := connect(t, path, over(t))
	exec(t, c, createTable)
	exec(t, c, "PRAGMA cache_size=100")
	for _, size := range []int{10, 4 * 4096, 20 * 4096} {
		logWrites.Store(0)
		exec(t, c, "INSERT INTO t (v) VALUES (?)", strings.Repeat("x", size))
		if n := logWrites.Load(); n != 1 {
			t.Errorf("a transaction of %d bytes was written to the log in %d calls, want 1", size, n)
		}
	}
	// Above 31 pages the buffer is full.
	logWrites.Store(0)
	exec(t, c, "INSERT INTO t (v) VALUES (?)", strings.Repeat("x", 70*4096))
	if n := logWrites.Load(); n != 3 {
		t.Errorf("a transaction of 70 pages was written to the log in %d calls, want 3", n)
	}
	if got := recovered(t, path); len(got) != 4 {
		t.Errorf("%d rows after kill -9, want 4", len(got))
	}
}

func TestPagesOfEverySize(t *testing.T) {
	for size := 512; size <= 65536; size *= 2 {
		path := filepath.Join(t.TempDir(), "t.db")
		c := connect(t, path, over(t))
		exec(t, c, "PRAGMA journal_mode=DELETE")
		exec(t, c, fmt.Sprintf("PRAGMA page_size=%d", size))
		exec(t, c, "VACUUM")
		exec(t, c, "PRAGMA journal_mode=WAL")
		exec(t, c, createTable)
		for i := range 3 {
			exec(t, c, "INSERT INTO t (v) VALUES (?)", strings.Repeat("x", i*200_000))
			if got := recovered(t, path); len(got) != i+1 {
				t.Errorf("page size %d: %d rows after kill -9, want %d", size, len(got), i+1)
			}
		}
		var used int
		if err := c.QueryRowContext(t.Context(), "PRAGMA page_size").Scan(&used); err != nil || used != size {
			t.Errorf("page size %d, want %d: %v", used, size, err)
		}
	}
}

// Pages that do not fit into the cache are read from the log within the transaction.
func TestTransactionReadsWhatItWrote(t *testing.T) {
	c := connect(t, filepath.Join(t.TempDir(), "t.db"), over(t))
	exec(t, c, createTable)
	for n := 5; n <= 60; n += 5 {
		exec(t, c, "BEGIN IMMEDIATE")
		exec(t, c, "DELETE FROM t")
		for i := range n {
			exec(t, c, "INSERT INTO t VALUES (?, ?)", i, strings.Repeat("x", 3000)+fmt.Sprint(i))
		}
		exec(t, c, "PRAGMA shrink_memory") // forgets pages that are in the log
		for i, v := range rows(t, c) {
			if v[3000:] != fmt.Sprint(i) {
				t.Fatalf("of %d rows, row %d ends with %q", n, i, v[3000:])
			}
		}
		exec(t, c, "COMMIT")
	}
}

// SQLite reads page 1 again when a commit has failed. Nothing of the transaction may reach the log by
// that.
func TestFailedCommitIsNotWrittenLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	c := connect(t, path, over(t))
	exec(t, c, createTable)
	exec(t, c, "INSERT INTO t VALUES (0, 'x')")
	exec(t, c, "PRAGMA cache_size=100")
	exec(t, c, "BEGIN IMMEDIATE")
	exec(t, c, "INSERT INTO t VALUES (1, ?)", strings.Repeat("y", 10*4096))
	failAt.Store(logWrites.Load() + 1)
	if _, err := c.ExecContext(t.Context(), "COMMIT"); err == nil {
		t.Error("a commit succeeded without its write")
	}
	want := map[int]string{0: "x"}
	if got := rows(t, c); !maps.Equal(got, want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
	if got := recovered(t, path); !maps.Equal(got, want) {
		t.Errorf("%d rows after kill -9, want %d: the transaction was refused", len(got), len(want))
	}
	want[2] = "z"
	exec(t, c, "INSERT INTO t VALUES (2, 'z')")
	if got := recovered(t, path); !maps.Equal(got, want) {
		t.Errorf("%d rows after the next transaction and kill -9, want %d", len(got), len(want))
	}
}

// A full disk may fail a statement of a transaction that goes on. The frames that could not be written
// then must be written with the rest.
func TestTransactionGoesOnAfterAFailedWrite(t *testing.T) {
	refused := 0
	for n := 10; n < 25; n++ {
		path := filepath.Join(t.TempDir(), "t.db")
		c := connect(t, path, over(t))
		exec(t, c, createTable)
		exec(t, c, "INSERT INTO t VALUES (0, 'x')")
		exec(t, c, "BEGIN IMMEDIATE")
		exec(t, c, "INSERT INTO t VALUES (1, ?)", strings.Repeat("y", n*4096)) // more than the cache holds
		exec(t, c, "PRAGMA shrink_memory")                                     // forgets pages that are in the log
		failAt.Store(logWrites.Load() + 1)
		const double = "INSERT INTO t SELECT id + 100, v FROM t WHERE id < 100" // of two rows: SQLite can undo it alone
		if _, err := c.ExecContext(t.Context(), double); err != nil {
			refused++
			exec(t, c, double)
		}
		failAt.Store(0)
		exec(t, c, "COMMIT")
		want := map[int]string{0: "x", 1: strings.Repeat("y", n*4096)}
		want[100], want[101] = want[0], want[1]
		if got := rows(t, c); !maps.Equal(got, want) {
			t.Errorf("%d other rows, want %d", len(got), len(want))
		}
		if got := recovered(t, path); !maps.Equal(got, want) {
			t.Errorf("%d other rows after kill -9, want %d", len(got), len(want))
		}
	}
	if refused == 0 {
		t.Error("no write failed")
	}
}

// Whatever connections do, with and without this package, a copy of the files has exactly what was
// committed. After a rollback the other connection writes its frames where those of the transaction
// would be.
func TestFilesHaveWhatIsCommitted(t *testing.T) {
	vfs := over(t)
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "case")
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "t.db")
		c, other := connect(t, path, vfs), connect(t, path, "")
		defer c.Close()
		defer other.Close()
		exec(rt, c, createTable)
		committed := map[int]string{}
		change := func(c *sql.Conn, model map[int]string) {
			id := rapid.IntRange(0, 40).Draw(rt, "id")
			v := strings.Repeat(rapid.StringMatching("[a-z]").Draw(rt, "letter"), rapid.SampledFrom([]int{1, 300, 3000, 9000, 40_000}).Draw(rt, "length"))
			if rapid.IntRange(0, 5).Draw(rt, "kind") == 0 {
				exec(rt, c, "DELETE FROM t WHERE id = ?", id)
				delete(model, id)
				return
			}
			exec(rt, c, "INSERT INTO t VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET v = excluded.v", id, v)
			model[id] = v
		}
		rt.Repeat(map[string]func(*rapid.T){
			"one":   func(*rapid.T) { change(c, committed) },
			"other": func(*rapid.T) { change(other, committed) },
			"transaction": func(*rapid.T) {
				exec(rt, c, "BEGIN IMMEDIATE")
				model := maps.Clone(committed)
				for range rapid.IntRange(0, 12).Draw(rt, "changes") {
					if rapid.IntRange(0, 4).Draw(rt, "savepoint") == 0 {
						exec(rt, c, "SAVEPOINT s")
						undone := maps.Clone(model)
						for range rapid.IntRange(0, 4).Draw(rt, "undone") {
							change(c, undone)
						}
						exec(rt, c, "ROLLBACK TO s")
					}
					change(c, model)
				}
				if got := rows(rt, c); !maps.Equal(got, model) {
					rt.Fatalf("%d rows within the transaction, want %d", len(got), len(model))
				}
				if rapid.Bool().Draw(rt, "commit") {
					exec(rt, c, "COMMIT")
					committed = model
				} else {
					exec(rt, c, "ROLLBACK")
				}
			},
			"checkpoint": func(*rapid.T) {
				by := rapid.SampledFrom([]*sql.Conn{c, other}).Draw(rt, "by")
				exec(rt, by, "PRAGMA wal_checkpoint("+rapid.SampledFrom([]string{"PASSIVE", "RESTART", "TRUNCATE"}).Draw(rt, "mode")+")")
			},
			"": func(*rapid.T) {
				if rapid.IntRange(0, 3).Draw(rt, "kill") == 0 { // not each time, because it takes some milliseconds
					if got := recovered(rt, path); !maps.Equal(got, committed) {
						rt.Fatalf("%d rows after kill -9, want %d", len(got), len(committed))
					}
				}
				for name, by := range map[string]*sql.Conn{"this": c, "the other": other} {
					if got := rows(rt, by); !maps.Equal(got, committed) {
						rt.Fatalf("%d rows on %s connection, want %d", len(got), name, len(committed))
					}
				}
			},
		})
	})
}

func TestOverRefusesAnUnknownFileSystem(t *testing.T) {
	if name, err := Over("no such"); err == nil || !strings.Contains(err.Error(), `"no such"`) {
		t.Errorf("%q, error %v", name, err)
	}
}
