package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	lib "modernc.org/sqlite/lib"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

func logSize(t *testing.T, path string) int64 {
	t.Helper()
	fi, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	return fi.Size()
}

func TestLogIsExtendedAtPower(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link.db")
	if err := os.Symlink(filepath.Join(dir, "power.db"), link); err != nil {
		t.Skip(err)
	}
	path := filepath.Join(dir, "power.db")
	b := mustOpen(t, path, sqlitedb.Power)
	if n := logSize(t, path); n != walBytes {
		t.Errorf("the log of a backend has %d bytes, want %d", n, walBytes)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a closed database is more than one file: %v", err)
	}
	mustOpen(t, link, sqlitedb.Power)
	if n := logSize(t, path); n != walBytes {
		t.Errorf("the log of a database that was opened by a link has %d bytes, want %d", n, walBytes)
	}

	mustOpen(t, filepath.Join(dir, "process.db"), sqlitedb.Process)
	if n := logSize(t, filepath.Join(dir, "process.db")); n >= walBytes {
		t.Errorf("the log was extended at process too: %d bytes", n)
	}
}

// SQLite must overwrite an extended log from its start and must not truncate it.
func TestExtendedLogKeepsItsSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	b := mustOpen(t, path, sqlitedb.Power)
	if v, err := sqlitedb.QueryValue(t.Context(), b.w.conn, "PRAGMA journal_size_limit"); err != nil || v != int64(-1) {
		t.Errorf("journal_size_limit is %v (error %v), want -1: none", v, err)
	}
	rec := started("")
	rec.State = make([]byte, 20<<10) // at least 5 pages, so that 300 of them fill the log twice
	for i := range 400 {
		rec.Key.Run = fmt.Sprint(i)
		if _, err := b.Start(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	if n := logSize(t, path); n < walBytes || n > 2*walBytes {
		t.Errorf("after 2000 frames the log has %d bytes, want about %d", n, walBytes)
	}
}

// imitation copies the files of an open database as kill -9 would leave them, with the log
// truncated to limit bytes.
func imitation(t *testing.T, path string, limit int64) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy.db")
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if suffix != "" {
			content = content[:min(int64(len(content)), limit)]
		}
		if err := os.WriteFile(to+suffix, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// found opens the database, counts the runs named 0, 1, 2, ... up to the first that is missing, and
// checks the file.
func found(t *testing.T, path string) int {
	t.Helper()
	b := mustOpen(t, path, sqlitedb.Power)
	var verdict string
	if err := b.readers.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity_check of %s: %q, error %v", path, verdict, err)
	}
	for n := 0; ; n++ {
		if _, err := b.Load(t.Context(), core.RunKey{Run: fmt.Sprint(n)}); errors.Is(err, core.ErrRunNotFound) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestExtendedLogIsRecovered(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "r.db")
	b := mustOpen(t, path, sqlitedb.Power)
	const runs = 5
	for n := range runs + 1 {
		if got := found(t, imitation(t, path, walBytes)); got != n {
			t.Errorf("killed after %d saves: %d recovered", n, got)
		}
		if _, err := b.Start(t.Context(), started(fmt.Sprint(n))); err != nil {
			t.Fatal(err)
		}
	}
	last := 0
	for limit := int64(0); limit < 100<<10; limit += 4001 {
		n := found(t, imitation(t, path, limit))
		if n < last {
			t.Errorf("%d saves in the first %d bytes of the log, %d in fewer", n, limit, last)
		}
		last = n
	}
	if last != runs+1 {
		t.Errorf("%d saves recovered of the whole log, want %d", last, runs+1)
	}
	t.Run("control: without the lock a save is lost", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "r.db")
		b := mustOpen(t, path, sqlitedb.Process)
		save := func(run string) {
			if _, err := b.Start(t.Context(), started(run)); err != nil {
				t.Fatal(err)
			}
		}
		save("0")
		size := logSize(t, path) // measured before another process saves
		save("1")
		f, err := os.OpenFile(path+"-wal", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		pad(f, size)
		if n := found(t, imitation(t, path, walBytes)); n != 1 {
			t.Errorf("%d saves recovered where the second was overwritten, want 1", n)
		}
	})
}

// One connection saves while others connect, extend the log if the lock is free, save and close.
// Its own log is short, so that each of them finds the log not extended.
func TestExtendingBesideAWriterLosesNothing(t *testing.T) {
	const databases, saves, others = 5, 40, 3
	extended := 0
	for range databases {
		path := filepath.Join(t.TempDir(), "r.db")
		writer := mustOpen(t, path, sqlitedb.Process)
		var wg sync.WaitGroup
		wg.Go(func() {
			for n := range saves {
				if _, err := writer.Start(t.Context(), started(fmt.Sprint(n))); err != nil {
					t.Error(err)
				}
			}
		})
		for n := range others {
			b := mustOpen(t, path, sqlitedb.Power)
			if logSize(t, path) == walBytes {
				extended++
			}
			if _, err := b.Start(t.Context(), started(fmt.Sprint(saves+n))); err != nil {
				t.Error(err)
			}
		}
		wg.Wait()
		if n := found(t, imitation(t, path, walBytes)); n != saves+others {
			t.Errorf("%d saves recovered, want %d", n, saves+others)
		}
	}
	t.Logf("%d of %d connections found the log extended", extended, databases*others)
}

// Extending the log is an optimisation and must not wait for locks.
func TestExtendingGivesWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	other := mustOpen(t, path, sqlitedb.Process)
	var b *Backend
	err := other.w.tx(statement(func() error { // holds the write lock
		b = mustOpen(t, path, sqlitedb.Power)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if n := logSize(t, path); n >= walBytes {
		t.Errorf("the log was extended to %d bytes although another connection held the lock", n)
	}
	if v, err := sqlitedb.QueryValue(t.Context(), b.w.conn, "PRAGMA busy_timeout"); err != nil || v != int64(5000) {
		t.Errorf("busy_timeout is %v afterwards (error %v), want 5000", v, err)
	}
	if _, err := b.Start(t.Context(), started("r")); err != nil {
		t.Error(err)
	}
}

// The busy timeout of the writer is restored, also after a failure. Otherwise the connection must
// not be used for saves.
func TestWaitForLocksIsRestored(t *testing.T) {
	b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), sqlitedb.Process)
	cause := errors.New("no checkpoint")
	if err := b.w.waiting(t.Context(), "0", func() error { return cause }); !errors.Is(err, cause) {
		t.Errorf("error %v, want %v", err, cause)
	}
	if v, err := sqlitedb.QueryValue(t.Context(), b.w.conn, "PRAGMA busy_timeout"); err != nil || v != int64(5000) {
		t.Errorf("busy_timeout is %v after a failure (error %v), want 5000", v, err)
	}
	if err := saveRuns(b, 0, 1); err != nil {
		t.Error(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	if err := b.w.waiting(gone, "0", func() error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the restoring", err)
	}
	if err := saveRuns(b, 1, 2); err == nil || !strings.Contains(err.Error(), "open the database again") {
		t.Errorf("a save by a writer that waits for no lock: error %v", err)
	}
}

// If the log cannot be shortened, this is reported, and no save fails.
func TestFailureToShortenIsReported(t *testing.T) {
	b, armed := openArmed(t, func(op fileOp) int32 {
		if op.op == opTruncate {
			return lib.SQLITE_IOERR_TRUNCATE
		}
		return lib.SQLITE_OK
	})
	defer b.Close()
	if err := os.Truncate(b.path+"-wal", longLog+1); err != nil {
		t.Fatal(err)
	}
	b.w.unlooked = logLooks - 1
	armed.Store(true)
	err := b.w.shorten(t.Context())
	armed.Store(false)
	if sqlitedb.Code(err)&0xff != lib.SQLITE_IOERR {
		t.Errorf("error %v, want that of the truncation", err)
	}
	if err := saveRuns(b, 1, 2); err != nil {
		t.Errorf("a save afterwards: %v", err)
	}
}

// brokenFile fails at its n-th call.
type brokenFile struct {
	calls, failAt int
	size          int64
}

func (f *brokenFile) call() error {
	if f.calls++; f.calls == f.failAt {
		return syscall.ENOSPC
	}
	return nil
}

func (f *brokenFile) WriteAt(p []byte, at int64) (int, error) {
	n := len(p)
	err := f.call()
	if err != nil {
		n /= 2 // a full disk writes as much as fits
	}
	f.size = max(f.size, at+int64(n))
	return n, err
}

func (f *brokenFile) Sync() error { return f.call() }

func (f *brokenFile) Truncate(size int64) error { f.size = size; return nil }

func TestPadLeavesAFullDiskAlone(t *testing.T) {
	const before = 12392
	whole := &brokenFile{size: before}
	if pad(whole, before); whole.size != walBytes {
		t.Fatalf("%d bytes, want %d", whole.size, walBytes)
	}
	for failAt := 1; failAt <= whole.calls; failAt++ {
		f := &brokenFile{size: before, failAt: failAt}
		if pad(f, before); f.size != before {
			t.Errorf("call %d failed and left %d bytes, want the %d of before", failAt, f.size, before)
		}
	}
}

// BenchmarkExtendedLog compares a run of 3 saves at durability power with the log extended and with
// a growing log, within the first 1000 frames of both.
func BenchmarkExtendedLog(b *testing.B) {
	const (
		rounds = 25 // with the same two databases: 25*4 runs of about 6 frames
		batch  = 4  // runs per timing
	)
	dir := b.TempDir()
	p, scope := benchPipeline(b, 1)
	keys := benchKeys(rounds * batch)
	took := inTurns(b, rounds, func(session int) (arms []func(int) time.Duration, done func()) {
		var opened []*Backend
		for arm := range 2 {
			c, err := prepare(b.Context(), filepath.Join(dir, fmt.Sprintf("%d-%d.db", session, arm)), sqlitedb.Power)
			must(b, err)
			if arm == 1 {
				c.Durability = sqlitedb.Process // only the name: the settings are those of power
			}
			w, err := newWriter(b.Context(), c, nil)
			must(b, err)
			back := &Backend{path: c.Path, w: w, maxBatch: maxBatch, readers: sql.OpenDB(c)}
			opened = append(opened, back)
			engine := core.NewEngine(core.WithBackend(back))
			arms = append(arms, func(round int) time.Duration {
				began := time.Now()
				for i := range batch {
					_, err := core.Run(b.Context(), engine, p, keys[round*batch+i], scope)
					must(b, err)
				}
				return time.Since(began)
			})
		}
		return arms, func() { must(b, errors.Join(opened[0].Close(), opened[1].Close())) }
	})
	reportRatio(b, took[0], took[1])
	reportMedian(b, took[0], 1e6/batch, "extended-us/run")
	reportMedian(b, took[1], 1e6/batch, "growing-us/run")
}

// In the past a continuous reader prevented the restart of the log, which grew as long as there
// were saves.
func TestLogThatAReaderKeepsGrowingIsCutOff(t *testing.T) {
	t.Parallel()
	for d, want := range map[sqlitedb.Durability]int64{sqlitedb.Process: longLog, sqlitedb.Power: walBytes} {
		path := filepath.Join(t.TempDir(), "r.db")
		b := mustOpen(t, path, d)
		if err := saveRuns(b, 0, 1); err != nil {
			t.Fatal(err)
		}
		look, err := b.readers.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if err := look.QueryRowContext(t.Context(), "SELECT count(*) FROM runs").Scan(&n); err != nil {
			t.Fatal(err)
		}
		rec := started("")
		rec.State = make([]byte, 500<<10)
		saved := 1
		for ; logSize(t, path) <= longLog; saved++ {
			rec.Key.Run = fmt.Sprint(saved)
			if _, err := b.Start(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
		}
		if err := look.Rollback(); err != nil {
			t.Fatal(err)
		}
		b.awaitCheckpoint()
		b.w.unlooked = logLooks - 1
		if err := saveRuns(b, saved, saved+1); err != nil {
			t.Fatal(err)
		}
		if size := logSize(t, path); size > want {
			t.Errorf("%s: the log still has %d bytes, at most %d", d, size, want)
		}
		if got := found(t, imitation(t, path, 2*longLog)); got != saved+1 {
			t.Errorf("%s: %d saves were found, want %d", d, got, saved+1)
		}
	}
}
