package main

import (
	"bytes"
	"context"
	"database/sql"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flujo/flujo-harness/core/postgres/pgserver"
	"github.com/flujo/flujo-harness/core/sqlite"
)

// TestEveryArmStoresItsRuns measures as little as possible. Each block checks its own rows and
// settings, and Close must fail if it expects one run too many.
func TestEveryArmStoresItsRuns(t *testing.T) {
	ctx := context.Background()
	p := plan{sessions: 1, rounds: 1, runs: 9, warm: 2, dir: t.TempDir(), workers: []int{1, 4},
		durabilities: []sqlite.Durability{sqlite.Process, sqlite.Power}}
	results, err := p.session(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, d := range p.durabilities {
		for _, a := range arms(d) {
			for _, w := range p.workers {
				rows++
				if b := results[cell{d, w, a.name}]; len(b) != 1 || len(b[0].Latencies) != p.runs {
					t.Errorf("%s, %s, %d concurrent runs: blocks %v, want one of %d runs", a.name, d, w, b, p.runs)
				}
			}
			e, err := a.open(ctx, filepath.Join(t.TempDir(), "runs.db"), d)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.Run(ctx, "only"); err != nil {
				t.Error(err)
			}
			if err := e.Close(ctx, 2); err == nil || !strings.Contains(err.Error(), "stored are") {
				t.Errorf("%s, %s: Close expected two runs instead of one: error %v", a.name, d, err)
			}
		}
	}
	var out bytes.Buffer
	if err := p.table(&out, []session{results}); err != nil || strings.Count(out.String(), "\n") != rows+3 {
		t.Errorf("table of %d rows, error %v:\n%s", rows, err, out.String())
	}
}

// This is the same on a PostgreSQL server. A server that does not keep what it acknowledges is
// refused.
func TestEveryArmStoresItsRunsOnPostgreSQL(t *testing.T) {
	pgserver.Need(t)
	ctx := context.Background()
	p := plan{sessions: 1, rounds: 1, runs: 9, warm: 2, dir: t.TempDir(), workers: []int{4}, durabilities: []sqlite.Durability{onPostgres}}
	for dir := p.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) { // if this process is root, the server has another user
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	results, err := p.session(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range arms(onPostgres) {
		if b := results[cell{onPostgres, 4, a.name}]; len(b) != 1 || len(b[0].Latencies) != p.runs || b[0].Bytes == 0 {
			t.Errorf("%s: blocks %+v, want one of %d runs", a.name, b, p.runs)
		}
	}
	if err := serverIn(p.dir); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stopServer(); err != nil {
			t.Error(err)
		}
	}()
	for _, a := range arms(onPostgres) {
		dsn, drop, err := newDatabase(ctx)
		if err != nil {
			t.Fatal(err)
		}
		e, err := a.open(ctx, dsn, onPostgres)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Run(ctx, "only"); err != nil {
			t.Error(err)
		}
		if err := e.Close(ctx, 2); err == nil || !strings.Contains(err.Error(), "stored are") {
			t.Errorf("%s: Close expected two runs instead of one: error %v", a.name, err)
		}
		if err := drop(); err != nil {
			t.Error(err)
		}
	}
	for _, setting := range []string{"synchronous_commit = off", "full_page_writes = off"} {
		dsn, _, err := newDatabase(ctx)
		if err == nil {
			err = ask(ctx, dsn, `SELECT 1`, new(int))
		}
		if err != nil {
			t.Fatal(err)
		}
		config, err := pgxpool.ParseConfig(dsn)
		if err != nil {
			t.Fatal(err)
		}
		config.MinConns = 1
		if name, value, _ := strings.Cut(setting, " = "); name == "synchronous_commit" {
			config.ConnConfig.RuntimeParams[name] = value
		} else {
			for _, text := range []string{"ALTER SYSTEM SET " + setting, "SELECT pg_reload_conf()"} {
				conn, err := pgx.Connect(ctx, dsn)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := conn.Exec(ctx, text); err != nil {
					t.Fatal(err)
				}
				if err := conn.Close(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		pool, err := pgxpool.NewWithConfig(ctx, config)
		if err != nil {
			t.Fatal(err)
		}
		for err = nil; err == nil || strings.Contains(err.Error(), "no connection"); {
			if err = pool.Ping(ctx); err == nil {
				err = checkServer(ctx, pool)
			}
		}
		if !strings.Contains(err.Error(), "of DBOS are") {
			t.Errorf("%s: %v", setting, err)
		}
		pool.Close()
	}
}

// TestIntervalIsOverSessions: many equal rounds within each session must not narrow the interval,
// because they do not predict the next session.
func TestIntervalIsOverSessions(t *testing.T) {
	p := plan{workers: []int{1}, durabilities: []sqlite.Durability{sqlite.Power}}
	var sessions []session
	for _, ratio := range []float64{2, 4, 3, 2.5, 3.5, 3} {
		s := session{}
		for i, a := range arms(sqlite.Power) {
			rate := 100.0
			if i == 0 {
				rate *= ratio
			}
			for range 50 {
				c := cell{sqlite.Power, 1, a.name}
				s[c] = append(s[c], block{Rate: rate, Latencies: []float64{1}, Bytes: 1})
			}
		}
		sessions = append(sessions, s)
	}
	var out bytes.Buffer
	if err := p.table(&out, sessions); err != nil || !strings.Contains(out.String(), "  3.00              2.00 - 4.00   6") {
		t.Errorf("error %v:\n%s", err, out.String())
	}
}

// TestSessionsAreProcesses runs the built program.
func TestSessionsAreProcesses(t *testing.T) {
	program := filepath.Join(t.TempDir(), "peers")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	args := []string{"-sessions", "2", "-rounds", "1", "-runs", "3", "-block", "0s", "-warm", "1", "-durability", "process", "-concurrency", "1", "-dir", "."}
	out, err := exec.Command(program, args...).Output()
	if err != nil || !bytes.Contains(out, []byte("2\n")) || !bytes.Contains(out, []byte("go run . -sessions 2 -rounds 1 -runs 3")) {
		t.Errorf("error %v:\n%s", err, out)
	}
	if left, _ := filepath.Glob("peers[0-9]*"); len(left) > 0 {
		t.Errorf("leftover files: %v", left)
	}
}

func TestWrongSettingsAreRefused(t *testing.T) {
	ctx := context.Background()
	for dsn, level := range map[string]sqlite.Durability{
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)": sqlite.Power,
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)":   sqlite.Process,
		"?_pragma=synchronous(NORMAL)":                           sqlite.Process,
	} {
		db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "x.db")+dsn)
		if err != nil {
			t.Fatal(err)
		}
		db.SetMaxOpenConns(2)
		if err := checkSettings(ctx, db, level); err == nil {
			t.Errorf("%s passed as %s", dsn, level)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestInterval checks the ranks against the usual table of the sign test at 95%.
func TestInterval(t *testing.T) {
	for n, want := range map[int]float64{6: 1, 8: 1, 9: 2, 11: 2, 12: 3, 15: 4, 20: 6, 25: 8} {
		v := make([]float64, n)
		for i := range v {
			v[i] = float64(n - i)
		}
		if low, high := interval(v); low != want || high != float64(n+1)-want {
			t.Errorf("n = %d: ranks %v and %v, want %v and %v", n, low, high, want, float64(n+1)-want)
		}
	}
	if low, high := interval([]float64{1, 2, 3, 4, 5}); !math.IsInf(low, -1) || !math.IsInf(high, 1) {
		t.Errorf("n = 5: %v to %v, want no bounds", low, high)
	}
}
