package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/coretest"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
)

func openProcess(ctx context.Context, path string) (core.Backend, error) {
	return Open(ctx, path, sqlitedb.Process)
}

func TestMain(m *testing.M) { os.Exit(coretest.Main(m, openProcess)) }

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, d := range []sqlitedb.Durability{sqlitedb.Process, sqlitedb.Power} {
		t.Run(string(d), func(t *testing.T) {
			coretest.Conformance(t, func(t *testing.T) core.Backend { return mustOpen(t, filepath.Join(t.TempDir(), "a b%?#.db"), d) })
		})
	}
}

func TestRecoveryAfterKill(t *testing.T) {
	t.Parallel()
	coretest.Recovery(t, openProcess)
}

func TestFencing(t *testing.T) {
	t.Parallel()
	coretest.Fencing(t, openProcess)
}

func TestRivals(t *testing.T) {
	t.Parallel()
	coretest.Rivals(t, openProcess)
}

func TestModel(t *testing.T) {
	t.Parallel()
	coretest.Model(t, openProcess, coretest.Durable)
}

func mustOpen(t *testing.T, path string, d sqlitedb.Durability) *Backend {
	t.Helper()
	b, err := Open(t.Context(), path, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// Arguments that are needed again are not allocated again, and others are replaced.
func TestArgumentsAreKept(t *testing.T) {
	var text, number driver.Value
	for _, s := range []string{"a", "b", "b", "", "a"} {
		n := int64(1000 + len(s))
		if got := reuse(&text, s); got != s {
			t.Errorf("%q instead of %q", got, s)
		}
		if got := reuse(&number, n); got != n {
			t.Errorf("%v instead of %d", got, n)
		}
	}
	h := core.Holder{Executor: strings.Repeat("x", 40), Until: time.Unix(1, 0)}
	var buf []byte
	if n := testing.AllocsPerRun(100, func() {
		reuse(&text, h.Executor)
		reuse(&number, h.Until.UnixNano())
		buf, _ = sumHolder(buf, h)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestSettingsAreReadBack(t *testing.T) {
	for d, want := range map[sqlitedb.Durability]string{sqlitedb.Process: "1", sqlitedb.Power: "2"} {
		b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), d)
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": want, "foreign_keys": "1", "mmap_size": "0", "busy_timeout": "5000"} {
			var got string
			if err := b.readers.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s: reader has %s=%s, want %s (error %v)", d, pragma, got, want, err)
			}
			v, err := sqlitedb.QueryValue(t.Context(), b.w.conn, "PRAGMA "+pragma)
			if got := fmt.Sprint(v); err != nil || got != want {
				t.Errorf("%s: writer has %s=%s, want %s (error %v)", d, pragma, got, want, err)
			}
		}
	}
}

func TestSettingThatIsNotTakenIsRefused(t *testing.T) {
	c, err := sqlitedb.NewConnector(filepath.Join(t.TempDir(), "r.db"), sqlitedb.Power)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range c.Settings {
		if s.Name == "synchronous" {
			c.Settings[i].Set = "OFF" // the mutant silently turns durability off
		}
	}
	if _, err := c.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), `synchronous is "0" where "2" is needed`) {
		t.Errorf("error %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	damaged := filepath.Join(dir, "damaged.db")
	if err := os.WriteFile(damaged, bytes.Repeat([]byte("not a database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		path string
		d    sqlitedb.Durability
		want string
	}{
		{":memory:", sqlitedb.Power, "a database in memory is not durable"},
		{"", sqlitedb.Power, "name a file"},
		{filepath.Join(dir, "x.db"), "OFF", `durability "OFF": use "power" or "process"`},
		{filepath.Join(dir, "none", "x.db"), sqlitedb.Power, "unable to open database file"},
		{damaged, sqlitedb.Power, "file is not a database"},
	} {
		b, err := Open(t.Context(), tc.path, tc.d)
		if err == nil {
			b.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("open %q at %q: error %v, want %q", tc.path, tc.d, err, tc.want)
		}
	}
	if got, err := os.ReadFile(damaged); err != nil || len(got) != 15000 {
		t.Errorf("the damaged file was touched: %d bytes, %v", len(got), err)
	}
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	b := mustOpen(t, path, sqlitedb.Process)
	if _, err := b.readers.ExecContext(t.Context(), "PRAGMA user_version=99"); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), path, sqlitedb.Process)
	var newer *sqlitedb.ErrNewer
	if !errors.As(err, &newer) || newer.Has != 99 || newer.Know != schemaVersion {
		t.Errorf("error %v", err)
	}
}

func TestVersionBelowNoneIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	b := mustOpen(t, path, sqlitedb.Process)
	if _, err := b.readers.ExecContext(t.Context(), "PRAGMA user_version=-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, sqlitedb.Process); err == nil || !strings.Contains(err.Error(), "schema version -1") {
		t.Errorf("error %v", err)
	}
}

// A run with the maximum number of records has no key for the scope of its end: the next key would
// be the start of another run.
func TestEndDoesNotLeaveItsRun(t *testing.T) {
	b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), sqlitedb.Process)
	var lease core.Lease
	for _, run := range []string{"first", "second"} {
		var err error
		if lease, err = b.Start(t.Context(), started(run)); err != nil {
			t.Fatal(err)
		}
	}
	full := fmt.Sprintf("UPDATE steps SET key = %d WHERE key = %d", lease.ID<<seqBits|maxSeq, lease.ID<<seqBits)
	if _, err := b.readers.ExecContext(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	err := b.Finish(t.Context(), lease, core.FinishRecord{Status: core.Completed, State: []byte("1"), Seq: maxSeq + 1, Time: fixed(1)})
	if err == nil || !strings.Contains(err.Error(), "a run holds at most") {
		t.Errorf("error %v", err)
	}
	if _, err := b.Start(t.Context(), started("third")); err != nil {
		t.Errorf("the next run: %v", err)
	}
}

func TestDamagedRecordIsNoticed(t *testing.T) {
	for _, column := range []string{"output", "state", "path", "feedback", "started"} {
		b := mustOpen(t, filepath.Join(t.TempDir(), "r.db"), sqlitedb.Process)
		lease, err := b.Start(t.Context(), core.StartRecord{Key: core.RunKey{Run: "r"}, State: []byte("{}"), Time: time.Unix(1, 0)})
		if err != nil {
			t.Fatal(err)
		}
		rec := core.StepRecord{Seq: 1, Path: "s", Status: core.Completed, Output: []byte("1"), State: []byte("[]"), Started: time.Unix(1, 0), Ended: time.Unix(2, 0)}
		if err := b.Step(t.Context(), lease, rec); err != nil {
			t.Fatal(err)
		}
		flip := map[string]string{"path": "'z'", "feedback": "'z'", "started": "1"}[column]
		if flip == "" {
			flip = "x'7a'"
		}
		if _, err := b.readers.ExecContext(t.Context(), "UPDATE steps SET "+column+"="+flip+" WHERE key = 1<<20|1"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Load(t.Context(), core.RunKey{Run: "r"}); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("%s was changed outside of the backend, and Load returned %v", column, err)
		}
	}
}

// BenchmarkSave saves one step record of 1 KB at a time, with no other saves.
func BenchmarkSave(b *testing.B) {
	for _, d := range []sqlitedb.Durability{sqlitedb.Process, sqlitedb.Power} {
		b.Run(string(d), func(b *testing.B) {
			back, err := Open(b.Context(), filepath.Join(b.TempDir(), "r.db"), d)
			if err != nil {
				b.Fatal(err)
			}
			defer back.Close()
			rec := core.StepRecord{Path: "s", Status: core.Completed, Attempts: 1, Output: bytes.Repeat([]byte("x"), 1024), Started: time.Unix(1, 0), Ended: time.Unix(2, 0)}
			lease, err := back.Start(b.Context(), core.StartRecord{Key: core.RunKey{Run: "r"}, State: []byte("{}"), Time: time.Unix(1, 0)})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				rec.Seq++
				if err := back.Step(b.Context(), lease, rec); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
