package postgres

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/postgres/pgserver"
	"github.com/flujo/flujo-harness/core/sqlite"
)

// BenchmarkFloor compares runs of three steps in the backend with their floor: the same statements
// with the same bytes by bare driver calls, on as many connections as there are concurrent runs, in
// a transaction each. Both alternate within each round. The reported value is the median over the
// rounds of the time of the backend, divided by that of the floor in the same round:
//
//	go test ./core/postgres -run '^$' -bench Floor -benchtime 11x
//
// A ratio below 1 is the gain from sharing transactions among the saves of concurrent runs.
func BenchmarkFloor(b *testing.B) {
	pgserver.Need(b)
	for _, d := range []Durability{Power, unsynced} {
		for _, atOnce := range []int{8, 64} {
			b.Run(fmt.Sprintf("%s/%d", d, atOnce), func(b *testing.B) { compareFloor(b, d, atOnce) })
		}
	}
}

// runsOfOne is the number of runs of each goroutine in one round.
const runsOfOne = 12

func compareFloor(b *testing.B, d Durability, atOnce int) {
	s := pgserver.For(b, pgserver.Options{Settings: map[string]string{"max_connections": "100", "shared_buffers": "128MB"}})
	backend := mustOpenAt(b, s.DSN("postgres"), d)
	floor := mustOpenFloor(b, s.DSN("postgres"), d, atOnce)
	var ratios, rates []float64
	round := 0
	one := func(arm func(round string) time.Duration) time.Duration {
		round++
		return arm(fmt.Sprint("round", round))
	}
	through := func(round string) time.Duration {
		return together(b, atOnce, func(g int) error { return whole(backend, round, g) })
	}
	bare := func(round string) time.Duration { return floor.round(b, backend, round, atOnce) }
	one(through) // warm up both
	one(bare)
	for b.Loop() {
		var w, f time.Duration
		if len(ratios)%2 == 0 {
			w, f = one(through), one(bare)
		} else {
			f, w = one(bare), one(through)
		}
		ratios = append(ratios, w.Seconds()/f.Seconds())
		rates = append(rates, float64(atOnce*runsOfOne)/w.Seconds())
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ratios), "of-floor")
	b.ReportMetric(slices.Min(ratios), "of-floor-min")
	b.ReportMetric(slices.Max(ratios), "of-floor-max")
	b.ReportMetric(median(rates), "runs/s")
	c := backend.Counts()
	b.ReportMetric(float64(c.Saves)/float64(c.Commits), "saves/commit")
}

// BenchmarkSQLite compares the same runs with those of package sqlite on the same machine,
// alternating within each round, both with a durability that survives the loss of power:
//
//	go test ./core/postgres -run '^$' -bench SQLite -benchtime 11x
func BenchmarkSQLite(b *testing.B) {
	pgserver.Need(b)
	for _, atOnce := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(atOnce), func(b *testing.B) {
			s := pgserver.For(b, pgserver.Options{Settings: map[string]string{"shared_buffers": "128MB"}})
			server := mustOpenAt(b, s.DSN("postgres"), Power)
			file, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "runs.db"), sqlite.Power)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() {
				if err := file.Close(); err != nil {
					b.Error(err)
				}
			})
			var ratios []float64
			round := func(backend core.Backend, name string) float64 {
				return together(b, atOnce, func(g int) error { return whole(backend, name, g) }).Seconds()
			}
			round(server, "warm")
			round(file, "warm")
			for b.Loop() {
				name := fmt.Sprint("round", len(ratios))
				ratios = append(ratios, round(server, name)/round(file, name))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(ratios), "of-sqlite")
			b.ReportMetric(slices.Min(ratios), "of-sqlite-min")
			b.ReportMetric(slices.Max(ratios), "of-sqlite-max")
		})
	}
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	return (all[len(all)/2] + all[(len(all)-1)/2]) / 2
}

// together calls do in the given number of goroutines and returns the duration.
func together(b *testing.B, atOnce int, do func(g int) error) time.Duration {
	b.Helper()
	var wg sync.WaitGroup
	began := time.Now()
	for g := range atOnce {
		wg.Go(func() {
			if err := do(g); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

var benchState = []byte(`{"Text":"` + string(slices.Repeat([]byte("x"), 400)) + `"}`)

func benchStart(round string, g, i int) core.StartRecord {
	rec := startOf(fmt.Sprint(round, "/", g, "/", i))
	rec.State = benchState
	return rec
}

func benchStep(seq int64) core.StepRecord {
	rec := stepOf(seq)
	rec.State, rec.Output = benchState, benchState[:100]
	return rec
}

var benchEnd = core.FinishRecord{Status: core.Completed, Time: at(9)}

// whole saves complete runs.
func whole(b core.Backend, round string, g int) error {
	for i := range runsOfOne {
		lease, err := b.Start(bg, benchStart(round, g, i))
		for seq := int64(1); seq <= 3 && err == nil; seq++ {
			err = b.Step(bg, lease, benchStep(seq))
		}
		if err == nil {
			err = b.Finish(bg, lease, benchEnd)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// floor saves with bare driver calls.
type floor struct{ pool *pgxpool.Pool }

func mustOpenFloor(b *testing.B, dsn string, d Durability, conns int) floor {
	b.Helper()
	s, err := parse(dsn+fmt.Sprint("&pool_max_conns=", conns), d, false)
	if err != nil {
		b.Fatal(err)
	}
	pool, err := s.connect(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return floor{pool}
}

// round makes the saves of one round. Their arguments are prepared in advance, except for the
// number of the run.
func (f floor) round(b *testing.B, backend *Backend, round string, atOnce int) time.Duration {
	b.Helper()
	saves := make([][][]*save, atOnce)
	conns := make([]*pgx.Conn, atOnce)
	for g := range atOnce {
		for i := range runsOfOne {
			start, lease := backend.startOf(benchStart(round, g, i))
			one := []*save{start}
			for seq := int64(1); seq <= 3; seq++ {
				rec := benchStep(seq)
				one = append(one, backend.step(lease, &rec))
			}
			saves[g] = append(saves[g], append(one, backend.finishOf(lease, benchEnd)))
		}
		conn, err := f.pool.Acquire(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Release()
		conns[g] = conn.Conn()
	}
	return together(b, atOnce, func(g int) error {
		for _, run := range saves[g] {
			if err := conns[g].QueryRow(context.Background(), run[0].sql, run[0].args...).Scan(&run[0].id); err != nil {
				return err
			}
			for _, s := range run[1:] {
				s.args[0] = run[0].id
				if tag, err := conns[g].Exec(context.Background(), s.sql, s.args...); err != nil || tag.RowsAffected() != 1 {
					return fmt.Errorf("%v: %w", tag, err)
				}
			}
		}
		return nil
	})
}
