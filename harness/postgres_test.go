package harness

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core/corebench"
	"github.com/flujo/flujo-harness/core/postgres/pgserver"
	"github.com/flujo/flujo-harness/core/postgres/postgresbench"
)

// onPostgreSQL makes an order for sessions with a server of their own.
func onPostgreSQL(t *testing.T) func(workload string, m Mutant) Session {
	s := pgserver.For(t, pgserver.Options{})
	Register("postgres", func(address string) (corebench.Backend, error) { return postgresbench.New(address) })
	return func(workload string, m Mutant) Session {
		o := Session{Workload: workload, Backend: s.DSN("postgres"), Durability: "postgres-server", Plan: small(), Number: 1, Seed: 7, Dir: t.TempDir(),
			Mutant: m, tick: time.Nanosecond}
		o.Plan.Blocks = 1
		return o
	}
}

func failures(res SessionResult) (bad []string) {
	for _, f := range res.Audit {
		if !f.OK {
			bad = append(bad, f.Check+": "+f.Detail)
		}
	}
	return bad
}

// A backend in PostgreSQL is measured and audited as the one in SQLite: runs one after the
// other, at the same time, and with pauses.
func TestPostgreSQLIsMeasured(t *testing.T) {
	order := onPostgreSQL(t)
	for _, workload := range []string{"default", "at-once-8", "pause"} {
		t.Run(workload, func(t *testing.T) {
			res, err := order(workload, MutantNone).Run(t.Context())
			if err != nil || res.Problem != "" {
				t.Fatalf("problem %q, error %v", res.Problem, err)
			}
			if bad := failures(res); len(bad) > 0 {
				t.Error(bad)
			}
			c := res.Counters[ArmBackend]
			if c.Commits <= 0 || c.Statements < c.Commits || c.Bytes <= 0 || c.Syncs != 0 {
				t.Errorf("counted %+v", c)
			}
			t.Logf("%+v", c)
		})
	}
}

// What a run in PostgreSQL costs is made of is measured by the backend's own levels.
func TestCostOfPostgreSQLIsAttributed(t *testing.T) {
	o := onPostgreSQL(t)("default", MutantNone)
	o.Plan.Sessions = 2
	f, err := Attribute(t.Context(), Spec{Workload: o.Workload, Backend: o.Backend, Durability: o.Durability, Plan: o.Plan, Seed: 7, Dir: o.Dir},
		func(ctx context.Context, s Session) (SessionResult, error) {
			s.tick = o.tick
			return s.Run(ctx)
		}, func(int) {})
	if err != nil || f.Problem != "" || !f.Complete {
		t.Fatalf("complete %v, problem %q, error %v", f.Complete, f.Problem, err)
	}
	var parts []string
	for _, i := range f.Increments {
		parts = append(parts, i.Category)
	}
	if got, want := strings.Join(parts, ", "), "context isolation, engine, state management, PostgreSQL persistence, durable commits, logging and tracing"; got != want {
		t.Errorf("parts %s, want %s", got, want)
	}
}

func TestAuditFindsTheMutantsInPostgreSQL(t *testing.T) {
	order := onPostgreSQL(t)
	for m, want := range map[Mutant]string{MutantNoSave: checkSaves, MutantUnsynced: checkDurability, MutantLeftover: checkRuns, MutantSkip: checkWork} {
		t.Run(string(m), func(t *testing.T) {
			res, err := order("default", m).Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if bad := strings.Join(failures(res), "\n"); !strings.Contains(bad, want+": ") {
				t.Errorf("not found by %q; found: %q", want, bad)
			}
		})
	}
}

func TestBackendsAreFoundByTheirAddress(t *testing.T) {
	for _, tc := range []struct{ address, durability, want string }{
		{"", "process", ""},
		{"", "server", `durability "server": backend sqlite has "process" and "power"`},
		{"", corebench.Unsynced, `backend sqlite has "process" and "power"`},
		{"nowhere://x", "process", "no backend for it is linked into this program"},
		{"runs.db", "process", "must be like postgres://"},
	} {
		err := Spec{Backend: tc.address, Durability: tc.durability}.Check()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q at %q: error %v, want %q", tc.address, tc.durability, err, tc.want)
		}
	}
}
