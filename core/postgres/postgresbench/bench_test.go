package postgresbench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/core/postgres/pgserver"
)

var at = time.Unix(1_700_000_000, 0)

const durability = "postgres-server"

func backend(t *testing.T) (*Backend, *pgserver.Server) {
	t.Helper()
	s := pgserver.For(t, pgserver.Options{})
	b, err := New(s.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	return b, s
}

// save saves a run of three steps. It sets no mark.
func save(ctx context.Context, b core.Backend, run string) error {
	lease, err := b.Start(ctx, core.StartRecord{Key: core.RunKey{Run: run}, Pipeline: "p", Plan: 1, PlanText: "text", State: []byte(`{}`), Time: at})
	for seq := int64(1); seq <= 3 && err == nil; seq++ {
		err = b.Step(ctx, lease, core.StepRecord{Seq: seq, Path: fmt.Sprint("s", seq), Status: core.Completed, Attempts: 1, Output: []byte(`"out"`), Started: at, Ended: at})
	}
	if err == nil {
		err = b.Finish(ctx, lease, core.FinishRecord{Status: core.Completed, Time: at})
	}
	return err
}

// contents returns all rows of a place, without the numbers that the server assigned.
func contents(t *testing.T, b *Backend, place string) (rows []string) {
	t.Helper()
	schema, err := b.home.schema(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), b.dsn(schema))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	found, err := conn.Query(t.Context(), `SELECT encode(r.run, 'escape') || ' ' || r.status || ' ' || r.seq || ' ' || r.birth || ' ' || r.sum FROM runs r
		UNION ALL SELECT encode(r.run, 'escape') || '/' || s.seq || ' ' || encode(s.path, 'escape') || ' ' || coalesce(encode(s.output, 'escape'), '-') || ' ' || s.started
		FROM steps s JOIN runs r ON r.id = s.run ORDER BY 1`)
	if err == nil {
		rows, err = pgx.CollectRows(found, pgx.RowTo[string])
	}
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// The floor reproduces the recorded rows: for runs one after the other, and for concurrent runs, to
// which another database assigns other numbers.
func TestFloorRepeatsTheRows(t *testing.T) {
	b, _ := backend(t)
	for _, atOnce := range []int{1, 24} {
		t.Run(fmt.Sprint(atOnce), func(t *testing.T) {
			dir := t.TempDir()
			place := func(name string) string { return filepath.Join(dir, name) }
			r, err := b.OpenRecorder(t.Context(), place("recorded"), durability)
			if err != nil {
				t.Fatal(err)
			}
			const operations = 4
			for op := range operations {
				errs := make([]error, atOnce)
				var wg sync.WaitGroup
				for i := range atOnce {
					wg.Go(func() { errs[i] = save(t.Context(), r, fmt.Sprint(op, "/", i)) })
				}
				wg.Wait()
				if err := errors.Join(errs...); err != nil {
					t.Fatal(err)
				}
				r.Mark()
			}
			rec, err := r.Recording()
			if err != nil {
				t.Fatal(err)
			}
			saves := operations * atOnce * 5
			if rec.Statements() != saves || rec.Len() > saves || rec.Len() != int(r.Counts().Commits) {
				t.Errorf("%d statements in %d transactions, want %d in %d", rec.Statements(), rec.Len(), saves, r.Counts().Commits)
			}
			if io := r.IO(); io.Bytes < int64(saves)*100 || io.Writes < int64(rec.Len()) {
				t.Errorf("sent %+v", io)
			}
			want := contents(t, b, place("recorded"))
			counted, err := b.Count(t.Context(), place("recorded"))
			if err != nil || counted != (corebench.RowCounts{Runs: int64(operations * atOnce), Finished: int64(operations * atOnce), Records: int64(operations * atOnce * 4), Commits: int64(rec.Len())}) {
				t.Errorf("counted %+v, %v; %d transactions were recorded", counted, err, rec.Len())
			}
			if err := r.Discard(); err != nil {
				t.Fatal(err)
			}
			f, err := b.OpenFloor(t.Context(), place("floor"), durability, rec)
			if err != nil {
				t.Fatal(err)
			}
			for range operations {
				if err := f.Next(); err != nil {
					t.Fatal(err)
				}
			}
			if err := f.Next(); err == nil {
				t.Error("the recording never ends")
			}
			if d := cmp.Diff(want, contents(t, b, place("floor"))); d != "" {
				t.Errorf("rows of the floor (-recorded +replayed):\n%s", d)
			}
			if got, err := b.Count(t.Context(), place("floor")); err != nil || got != counted {
				t.Errorf("the floor holds %+v, want %+v, %v", got, counted, err)
			}
			t.Logf("%d saves in %d transactions on %d lanes", saves, rec.Len(), rec.(*Recording).lanes)
			if err := f.Discard(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Refused saves and reads are not recorded.
func TestOnlyWhatChangesARowIsRecorded(t *testing.T) {
	b, _ := backend(t)
	r, err := b.OpenRecorder(t.Context(), filepath.Join(t.TempDir(), "r"), durability)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Discard()
	if err := save(t.Context(), r, "one"); err != nil {
		t.Fatal(err)
	}
	if err := save(t.Context(), r, "one"); !errors.Is(err, core.ErrRunExists) {
		t.Errorf("the second start: %v", err)
	}
	if _, err := r.Load(t.Context(), core.RunKey{Run: "one"}); err != nil {
		t.Error(err)
	}
	if rec, err := r.Recording(); err != nil || rec.Len() != 5 {
		t.Errorf("%d transactions, want 5, error %v", rec.Len(), err)
	}
}

func TestDurabilityIsReadBack(t *testing.T) {
	b, server := backend(t)
	for _, level := range b.Levels() {
		s, err := b.Open(t.Context(), filepath.Join(t.TempDir(), "s"), level.Durability)
		if err != nil {
			t.Fatal(err)
		}
		want := level.Durability
		if want == corebench.Unsynced {
			want = prefix + want // which no session requests
		}
		if got, err := s.Durability(); got != want || err != nil {
			t.Errorf("%s: read %q, %v", level.Durability, got, err)
		}
		if level.Durability == prefix+"power" { // the setting of the server changes while connections are open
			admin, err := pgx.Connect(t.Context(), server.DSN("postgres"))
			if err != nil {
				t.Fatal(err)
			}
			defer admin.Close(t.Context())
			for _, text := range []string{`ALTER SYSTEM SET full_page_writes = off`, `SELECT pg_reload_conf()`} {
				if _, err := admin.Exec(t.Context(), text); err != nil {
					t.Fatal(err)
				}
			}
			for err = nil; err == nil && t.Context().Err() == nil; {
				_, err = s.Durability()
			}
			if err == nil || !strings.Contains(err.Error(), "full_page_writes is off") {
				t.Errorf("full_page_writes off: %v", err)
			}
		}
		if err := s.Discard(); err != nil {
			t.Error(err)
		}
	}
}

// The schemas of a killed process are dropped by the next process, but not those of a running one.
func TestAbandonedSchemasAreDropped(t *testing.T) {
	b, server := backend(t)
	place := filepath.Join(t.TempDir(), "mine")
	s, err := b.Open(t.Context(), place, durability)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := pgx.Connect(t.Context(), server.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	for _, schema := range []string{"flujo_bench_0123456789ab_1", "flujo_bench_0123456789ab_2", "flujo_bench_notes"} {
		if _, err := admin.Exec(t.Context(), `CREATE SCHEMA `+schema+`; CREATE TABLE `+schema+`.t (x int)`); err != nil {
			t.Fatal(err)
		}
	}
	next := &home{address: server.DSN("postgres")} // simulates another process
	if _, err := next.schema(t.Context(), place); err != nil {
		t.Fatal(err)
	}
	rows, err := admin.Query(t.Context(), `SELECT nspname FROM pg_catalog.pg_namespace WHERE starts_with(nspname, 'flujo_bench_') ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	left, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(left) != 2 || !strings.HasPrefix(left[0], b.home.name) && !strings.HasPrefix(left[1], b.home.name) {
		t.Errorf("left are %v, error %v; want that of %s and flujo_bench_notes", left, err, b.home.name)
	}
	if err := s.Discard(); err != nil {
		t.Error(err)
	}
}

func TestAddressesAreRefused(t *testing.T) {
	for _, address := range []string{"postgres://u:s3cr3t@h/d", "postgres://h/d?password=s3cr3t", "mysql://u:s3cr3t@h/d", "postgres://u:s3cr3t@h:x/d", "postgres://h/d?search_path=s3cr3t"} {
		if _, err := New(address); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
