package postgres

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/postgres/pgserver"
)

// stepsOfRun is the number of steps of each run of a load.
const stepsOfRun = 6

// load saves runs in several goroutines and notes the acknowledged records.
type load struct {
	b    *Backend
	name string

	mu    sync.Mutex
	acks  map[string]int64 // the latest acknowledged record of each run
	total int
	wake  *sync.Cond
	stop  bool
	errs  []error
	wg    sync.WaitGroup
}

func newLoad(b *Backend, name string, goroutines int) *load {
	l := &load{b: b, name: name, acks: map[string]int64{}}
	l.wake = sync.NewCond(&l.mu)
	for g := range goroutines {
		l.wg.Go(func() {
			for i := 0; l.run(fmt.Sprintf("%s %d-%d", name, g, i)); i++ {
			}
		})
	}
	return l
}

func (l *load) ack(run string, seq int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acks[run] = seq
	l.total++
	l.wake.Broadcast()
}

// run saves one run and reports whether to save another one.
func (l *load) run(run string) bool {
	lease, err := l.b.Start(bg, startOf(run))
	for seq := int64(0); err == nil; seq++ {
		l.ack(run, seq)
		if seq == stepsOfRun {
			break
		}
		err = l.b.Step(bg, lease, stepOf(seq+1))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("run %s: %w", run, err))
		l.wake.Broadcast()
	}
	return !l.stop && err == nil
}

// until waits until more further records were acknowledged, or a save has failed.
func (l *load) until(more int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for goal := l.total + more; l.total < goal && len(l.errs) == 0; {
		l.wake.Wait()
	}
}

func (l *load) end() {
	l.mu.Lock()
	l.stop = true
	l.mu.Unlock()
	l.wg.Wait()
}

// lost returns the number of acknowledged records that are missing. That a run has records of another
// one is an error of the test.
func (l *load) lost(t testing.TB, b *Backend) int {
	t.Helper()
	lost, mixed := l.lostAndMixed(t, b)
	if mixed > 0 {
		t.Errorf("%d runs have several records more than were acknowledged: one more may be under way", mixed)
	}
	return lost
}

// lostAndMixed returns the number of acknowledged records that are missing, and of runs that have
// several more. A server that loses what it acknowledged can do both: it gives the number of a lost run
// to another one, and the goroutine of the lost run still saves steps.
func (l *load) lostAndMixed(t testing.TB, b *Backend) (lost, mixed int) {
	t.Helper()
	for run, seq := range l.acks {
		snap, err := b.Load(t.Context(), keyed(run))
		if errors.Is(err, core.ErrRunNotFound) {
			lost += int(seq) + 1
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		have := int64(len(snap.Steps))
		lost += int(max(0, seq-have))
		if have > seq+1 {
			mixed++
		}
	}
	return lost, mixed
}

// All processes of the server are killed under load, and it is started again. No acknowledged
// record is lost, and each save that was being made takes effect once.
func TestServerKilledUnderLoad(t *testing.T) {
	pgserver.Need(t)
	kills := trials(3)
	s := pgserver.For(t, pgserver.Options{})
	b := mustOpenAt(t, s.DSN("postgres"), Power)
	b.patience = 5 * time.Minute
	l := newLoad(b, "load", 16)
	for range kills {
		l.until(300)
		if err := errors.Join(s.Kill(), s.Restart()); err != nil {
			t.Fatal(err)
		}
	}
	l.until(300)
	l.end()
	if err := errors.Join(l.errs...); err != nil {
		t.Errorf("saves that were not resolved: %v", err)
	}
	if lost := l.lost(t, b); lost > 0 {
		t.Errorf("%d of %d acknowledged records are lost", lost, l.total)
	}
	for run, seq := range l.acks {
		if seq != stepsOfRun {
			t.Errorf("run %s has come to record %d of %d", run, seq, stepsOfRun)
		}
	}
	t.Logf("%d kills of the whole server: %d acknowledged records of %d runs, 0 lost, 0 errors", kills, l.total, len(l.acks))

	t.Run("control: without synchronous_commit records are lost", func(t *testing.T) {
		s := pgserver.For(t, pgserver.Options{Settings: map[string]string{"wal_writer_delay": "10s", "wal_writer_flush_after": "1GB", "wal_buffers": "16MB"}})
		b := mustOpenAt(t, s.DSN("postgres"), unsynced)
		execute(t, b, `CHECKPOINT`) // the tables are not lost
		b.patience = 5 * time.Minute
		l := newLoad(b, "load", 16)
		l.until(1000)
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		l.mu.Lock()
		l.stop = true
		l.mu.Unlock()
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		l.wg.Wait()
		lost, mixed := l.lostAndMixed(t, b)
		if len(l.errs) == 0 && lost == 0 {
			t.Error("nothing was lost")
		}
		t.Logf("%d of %d acknowledged records are lost, %d runs went wrong, %d have records of others", lost, l.total, len(l.errs), mixed)
	})
}

// A standby replaces a primary that fails while runs are saved. If the primary waited for the
// standby, nothing is lost. If it did not, as in the control, the last saves are lost.
func TestStandbyPromoted(t *testing.T) {
	pgserver.Need(t)
	for _, synchronous := range []bool{true, false} {
		t.Run(fmt.Sprintf("synchronous replication %v", synchronous), func(t *testing.T) {
			names := "*"
			if !synchronous {
				names = ""
			}
			primary := pgserver.For(t, pgserver.Options{})
			setup := mustOpenAt(t, primary.DSN("postgres"), Power)
			standby, err := primary.Standby()
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := standby.Stop(); err != nil {
					t.Error(err)
				}
			}()
			execute(t, setup, `ALTER SYSTEM SET synchronous_standby_names = '`+names+`'`, `SELECT pg_reload_conf()`)
			streaming(t, setup)

			if _, err := Open(t.Context(), standby.DSN("postgres"), Power); !errors.Is(err, errSettings) {
				t.Errorf("a standby was opened to write: error %v", err)
			}
			r, err := OpenReader(t.Context(), standby.DSN("postgres"))
			if err != nil {
				t.Fatalf("a standby to read: %v", err)
			}
			if _, err := r.List(t.Context(), core.Filter{}); err != nil {
				t.Error(err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}

			// The address has both servers. The one that accepts writes is used.
			b := mustOpenAt(t, "host="+primary.Dir()+","+standby.Dir()+" port=5432 user=postgres dbname=postgres target_session_attrs=read-write", Power)
			b.patience = 5 * time.Minute
			l := newLoad(b, "load", 8)
			l.until(100)
			if !synchronous { // the standby receives nothing more
				standbyAdmin, err := OpenReader(t.Context(), standby.DSN("postgres"))
				if err != nil {
					t.Fatal(err)
				}
				for _, text := range []string{`ALTER SYSTEM SET primary_conninfo = ''`, `SELECT pg_reload_conf()`} {
					if _, err := direct(t, standbyAdmin.b).Exec(t.Context(), text); err != nil {
						t.Fatal(err)
					}
				}
				eventually(t, "the standby no longer receives", func() (gone bool) {
					if err := standbyAdmin.b.pool.QueryRow(t.Context(), `SELECT NOT EXISTS (SELECT 1 FROM pg_stat_wal_receiver)`).Scan(&gone); err != nil {
						t.Fatal(err)
					}
					return gone
				})
				if err := standbyAdmin.Close(); err != nil {
					t.Error(err)
				}
				l.until(100)
			}
			if err := primary.Kill(); err != nil {
				t.Fatal(err)
			}
			// The new primary must not wait for a standby, because it has none.
			if err := standby.Promote(); err != nil {
				t.Fatal(err)
			}
			admin := mustOpenUnwaited(t, standby.DSN("postgres"))
			execute(t, admin, `ALTER SYSTEM SET synchronous_standby_names = ''`, `SELECT pg_reload_conf()`)
			if synchronous {
				l.until(100)
			}
			l.end()
			lost, mixed := l.lostAndMixed(t, b)
			if synchronous && (lost > 0 || mixed > 0 || len(l.errs) > 0) {
				t.Errorf("%d of %d acknowledged records are lost, %d runs have records of others, %v", lost, l.total, mixed, errors.Join(l.errs...))
			}
			if !synchronous && lost == 0 {
				t.Error("nothing is lost")
			}
			t.Logf("%d of %d acknowledged records are lost, %d runs went wrong, %d have records of others", lost, l.total, len(l.errs), mixed)
		})
	}
}

// mustOpenUnwaited opens a server for statements that do not wait for a standby.
func mustOpenUnwaited(t testing.TB, dsn string) *Backend {
	t.Helper()
	s, err := parse(dsn, unsynced, false)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := s.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return newBackend(s, pool)
}

// streaming waits until the standby follows.
func streaming(t testing.TB, b *Backend) {
	t.Helper()
	eventually(t, "the standby follows", func() bool {
		var n int
		if err := b.pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n > 0
	})
}
