package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/postgres/pgserver"
)

func at(seconds int64) time.Time { return time.Unix(1_700_000_000+seconds, 7).UTC() }

func startOf(run string) core.StartRecord {
	return core.StartRecord{Key: core.RunKey{Tenant: "acme", Run: run}, Pipeline: "p", Plan: 7, PlanText: "pipeline p", State: []byte(`{"n":0}`), Time: at(0)}
}

func stepOf(seq int64) core.StepRecord {
	return core.StepRecord{Seq: seq, Path: fmt.Sprint("s", seq), Status: core.Completed, Attempts: 1, Output: []byte("1"), State: fmt.Append(nil, seq),
		Started: at(seq), Ended: at(seq + 1)}
}

func pauseOf(seq int64, token string) core.StepRecord {
	rec := stepOf(seq)
	rec.Status, rec.Token, rec.Output, rec.State = core.Paused, token, []byte(`"may I?"`), nil
	return rec
}

// begun starts a run and saves one pause.
func begun(t testing.TB, b *Backend) core.Lease {
	t.Helper()
	lease, err := b.Start(t.Context(), startOf("r"))
	if err == nil {
		err = b.Step(t.Context(), lease, pauseOf(1, "t"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

// direct opens a separate connection to the schema of a backend.
func direct(t testing.TB, b *Backend) *pgx.Conn {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), b.server.config.ConnConfig.Copy())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// meanwhile makes a change in a transaction, commits it when a write waits for the same row, and
// returns the error of that write.
func meanwhile(t testing.TB, b *Backend, write func() error, change ...string) error {
	t.Helper()
	rival := direct(t, b)
	tx, err := rival.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range change {
		if _, err := tx.Exec(t.Context(), qualify(text, b.server.quoted())); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() { done <- write() }()
	watch := direct(t, b)
	ended := false // it did not wait
	eventually(t, "the write waits for the row", func() (waits bool) {
		if ended = len(done) > 0; ended {
			return true
		}
		if err := watch.QueryRow(t.Context(), `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND $1::int = ANY (pg_blocking_pids(pid)))`,
			rival.PgConn().PID()).Scan(&waits); err != nil {
			t.Fatal(err)
		}
		return waits
	})
	if ended {
		return errors.Join(<-done, tx.Commit(t.Context()))
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return <-done
}

// fenceChecks are requirements on the statements under concurrent changes.
var fenceChecks = map[string]func(t testing.TB, b *Backend) error{
	"a step that waits for a claim is fenced": func(t testing.TB, b *Backend) error {
		lease := begun(t, b)
		return want(core.ErrFenced, meanwhile(t, b, func() error { return b.Step(t.Context(), lease, stepOf(2)) },
			`UPDATE @.runs SET epoch = epoch + 1, nonce = nonce + 1`))
	},
	"an end that waits for a claim is fenced": func(t testing.TB, b *Backend) error {
		lease := begun(t, b)
		end := core.FinishRecord{Status: core.Completed, State: []byte("1"), Seq: 2, Time: at(5)}
		return want(core.ErrFenced, meanwhile(t, b, func() error { return b.Finish(t.Context(), lease, end) }, `UPDATE @.runs SET epoch = epoch + 1, nonce = nonce + 1`))
	},
	"a pause that waits for an answer is refused": func(t testing.TB, b *Backend) error {
		lease := begun(t, b)
		return want(core.ErrSignalled, meanwhile(t, b, func() error {
			return b.Finish(t.Context(), lease, core.FinishRecord{Status: core.Paused, Time: at(5)})
		}, `UPDATE @.runs SET answers = answers + 1`, `INSERT INTO @.answers SELECT id, '\x00', 't', '1', 1, 0 FROM @.runs`))
	},
	"a step of a lease that is lost is fenced": func(t testing.TB, b *Backend) error {
		lease := begun(t, b)
		if _, _, err := b.Claim(t.Context(), startOf("r").Key, 0); err != nil {
			return err
		}
		return want(core.ErrFenced, b.Step(t.Context(), lease, stepOf(2)))
	},
	"a step that was made and whose answer was lost is made": func(t testing.TB, b *Backend) error {
		lease := begun(t, b)
		step := stepOf(2)
		if err := b.Step(t.Context(), lease, step); err != nil {
			return err
		}
		s := b.step(lease, &step)
		s.begun, s.doubt = time.Now(), true
		err := b.settle(s)
		if err == nil && !s.done {
			err = errors.New("the step was reported as refused")
		}
		return err
	},
	"a step of others at its place is not mistaken for it": func(t testing.TB, b *Backend) error {
		lease := begun(t, b)
		step := stepOf(2)
		if err := b.Step(t.Context(), lease, step); err != nil {
			return err
		}
		step.Output = []byte("2")
		s := b.step(lease, &step)
		s.begun, s.doubt = time.Now(), true
		if err := b.settle(s); err != nil || s.done {
			return fmt.Errorf("made %v, error %v", s.done, err)
		}
		return nil
	},
	"a lease of a run that is lost is fenced": func(t testing.TB, b *Backend) error {
		lost := begun(t, b)
		change(t, b, `DELETE FROM @.runs`, `DELETE FROM @.steps`, fmt.Sprintf(`ALTER TABLE @.runs ALTER id RESTART WITH %d`, lost.ID))
		now := begun(t, b)
		return anotherHas(t, b, lost, now)
	},
	"a lease of a claim that is lost is fenced": func(t testing.TB, b *Backend) error {
		begun(t, b)
		change(t, b, `CREATE TABLE @.saved AS SELECT * FROM @.runs`)
		lost, _, err := b.Claim(t.Context(), startOf("r").Key, 0)
		if err != nil {
			return err
		}
		change(t, b, `UPDATE @.runs SET epoch = saved.epoch, nonce = saved.nonce, sum = saved.sum FROM @.saved`)
		now, _, err := b.Claim(t.Context(), startOf("r").Key, 0)
		if err != nil {
			return err
		}
		return anotherHas(t, b, lost, now)
	},
	"a run that was read during a claim that is lost is not acquired": func(t testing.TB, b *Backend) error {
		begun(t, b)
		change(t, b, `CREATE TABLE @.saved AS SELECT * FROM @.runs`)
		if _, _, err := b.Claim(t.Context(), startOf("r").Key, 0); err != nil {
			return err
		}
		known, err := b.Load(t.Context(), startOf("r").Key)
		if err != nil {
			return err
		}
		change(t, b, `UPDATE @.runs SET epoch = saved.epoch, nonce = saved.nonce, sum = saved.sum FROM @.saved`)
		now, _, err := b.Claim(t.Context(), startOf("r").Key, 0)
		if err != nil || now.Epoch != known.Epoch || now.Nonce == known.Nonce {
			return fmt.Errorf("lease %+v, read before %+v: %w", now, known, err)
		}
		_, _, atOnce := b.Acquire(t.Context(), known, core.Holder{})
		err = b.Step(t.Context(), now, stepOf(2))
		_, _, later := b.Acquire(t.Context(), known, core.Holder{}) // the history is read again
		return errors.Join(want(core.ErrFenced, atOnce), err, want(core.ErrFenced, later))
	},
}

// After a failover that has lost the text of a plan, the next run saves it again.
func TestPlanIsSavedToAnotherServer(t *testing.T) {
	b := mustOpen(t, Server)
	load := func(run string) core.Snapshot {
		if _, err := b.Start(t.Context(), startOf(run)); err != nil {
			t.Fatal(err)
		}
		snap, err := b.Load(t.Context(), startOf(run).Key)
		if err != nil {
			t.Fatal(err)
		}
		return snap
	}
	load("first")
	change(t, b, `DELETE FROM @.plans`)
	if snap := load("second"); snap.Start.PlanText != "" {
		t.Fatalf("on the same connection the text is sent each time: %q", snap.Start.PlanText)
	}
	b.pool.Reset()
	if snap, want := load("third"), startOf("third").PlanText; snap.Start.PlanText != want {
		t.Errorf("the plan is %q, want %q", snap.Start.PlanText, want)
	}
	if snap := load("fourth"); snap.Start.PlanText == "" {
		t.Error("the text is lost again")
	}
	change(t, b, `DELETE FROM @.plans`)
	pool, err := b.NewPool(t.Context()) // its transactions start runs, see Within
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := pool.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if snap := load("fifth"); snap.Start.PlanText == "" {
		t.Error("the text is not sent again after a connection of another pool")
	}
}

// change executes statements on a separate connection.
func change(t testing.TB, b *Backend, statements ...string) {
	t.Helper()
	conn := direct(t, b)
	for _, text := range statements {
		if _, err := conn.Exec(t.Context(), qualify(text, b.server.quoted())); err != nil {
			t.Fatal(err)
		}
	}
}

// anotherHas returns an error unless every save by a lost lease is fenced, while another executor has
// the same number and epoch, one record, and after that while it has ended the run.
func anotherHas(t testing.TB, b *Backend, lost, now core.Lease) error {
	t.Helper()
	if now.ID != lost.ID || now.Epoch != lost.Epoch {
		t.Fatalf("lease %+v, want the number and the epoch of %+v", now, lost)
	}
	doubted := func(s *save) error { // its answer was lost by the failover
		s.begun, s.doubt = time.Now(), true
		if err := b.settle(s); err != nil || s.done {
			return fmt.Errorf("in doubt: made %v, error %v", s.done, err)
		}
		return nil
	}
	saves := func() error {
		return errors.Join(
			want(core.ErrFenced, b.Step(t.Context(), lost, stepOf(2))),
			want(core.ErrFenced, b.Enqueue(lost, new(stepOf(2))).Wait()),
			want(core.ErrFenced, b.Finish(t.Context(), lost, core.FinishRecord{Status: core.Completed, State: []byte("1"), Seq: 2, Time: at(5)})),
			want(core.ErrFenced, b.Finish(t.Context(), lost, core.FinishRecord{Status: core.Paused, Answers: 1, Time: at(5)})),
			want(core.ErrFenced, b.Finish(t.Context(), lost, core.FinishRecord{Status: core.Stopped, Time: at(5)})),
			doubted(b.step(lost, new(stepOf(2)))), doubted(b.finishOf(lost, core.FinishRecord{Status: core.Stopped, Time: at(5)})))
	}
	err := saves()
	leases, renewErr := b.Renew(t.Context(), core.Holder{Executor: "lost", Until: at(99)}, []core.Lease{lost, now})
	if renewErr != nil || len(leases) != 1 || leases[0] != lost {
		err = errors.Join(err, fmt.Errorf("a heartbeat has lost %+v, error %v; want %+v", leases, renewErr, lost))
	}
	own := stepOf(2)
	own.Ended = at(4) // the records of two executors differ at least in their times
	err = errors.Join(err, b.Step(t.Context(), now, own), b.Finish(t.Context(), now, core.FinishRecord{Status: core.Stopped, Time: at(6)}), saves())
	gone, deleteErr := b.delete(t.Context(), lost.ID, lost.Nonce, int16(core.Stopped))
	if deleteErr != nil || gone {
		err = errors.Join(err, fmt.Errorf("pruned %v, error %v", gone, deleteErr))
	}
	return err
}

func want(want, err error) error {
	if errors.Is(err, want) {
		return nil
	}
	return fmt.Errorf("error %v, want %v", err, want)
}

// fenceMutants are plausible wrong statements. Each must be detected by a check.
var fenceMutants = []struct{ name, check, old, new string }{
	{"fences by a plain read", "a step that waits for a claim is fenced",
		`WITH f AS (UPDATE @.runs SET seq = $3::bigint` + fence + ` AND seq = $3::bigint - 1 RETURNING id, epoch)`,
		`WITH f AS (SELECT id, epoch FROM @.runs` + fence + ` AND seq = $3::bigint - 1), g AS (UPDATE @.runs SET seq = $3::bigint WHERE id = (SELECT id FROM f))`},
	{"counts the answers by a subquery", "a pause that waits for an answer is refused",
		`answers = $8::bigint)`, `(SELECT count(*) FROM @.answers a WHERE a.run = runs.id) = $8::bigint)`},
	{"does not fence", "a step of a lease that is lost is fenced", `AND nonce = $2::bigint`, `AND $2::bigint <> 0`},
	{"fences by the epoch", "a lease of a run that is lost is fenced", `AND nonce = $2::bigint`, `AND epoch IN (1, 2) AND $2::bigint <> 0`},
	{"fences by the epoch", "a lease of a claim that is lost is fenced", `AND nonce = $2::bigint`, `AND epoch IN (1, 2) AND $2::bigint <> 0`},
	{"acquires by the epoch", "a run that was read during a claim that is lost is not acquired", `($11::bigint = 0 OR nonce = $11::bigint)`, `$11::bigint = $11::bigint`},
	{"does not check whether a save was made", "a step that was made and whose answer was lost is made", `WHERE run = $1::bigint AND seq = $2::bigint AND epoch = $3::bigint`,
		`WHERE run = $1::bigint AND seq = $2::bigint AND epoch = $3::bigint AND false`},
	{"mistakes any record for its own", "a step of others at its place is not mistaken for it", `SELECT sum FROM @.steps`, ``},
}

func TestSavesAreFencedByTheRow(t *testing.T) {
	pgserver.Need(t)
	for name, check := range fenceChecks {
		t.Run(name, func(t *testing.T) {
			if err := check(t, mustOpen(t, Server)); err != nil {
				t.Error(err)
			}
		})
	}
	for _, m := range fenceMutants {
		t.Run("control: a backend that "+m.name+" is detected", func(t *testing.T) {
			b := mustOpen(t, Server)
			q := b.server.quoted()
			old, new := qualify(m.old, q), qualify(m.new, q)
			changed := false
			for _, text := range []*string{&b.sql.step, &b.sql.finish, &b.sql.finishState, &b.sql.stepMade, &b.sql.acquire} {
				changed = changed || strings.Contains(*text, old)
				*text = strings.ReplaceAll(*text, old, new)
			}
			if m.new == "" { // always returns the expected sum, whatever is saved
				step := stepOf(2)
				step.Output = []byte("2")
				b.sql.stepMade = fmt.Sprintf(`SELECT %d::bigint FROM %s.steps WHERE run = $1 AND seq = $2 AND epoch = $3`, sumStep(1, nil, 1, &step), q)
			}
			if !changed {
				t.Fatal("the statements have changed: the mutant replaces nothing")
			}
			err := fenceChecks[m.check](t, b)
			if err == nil {
				t.Fatalf("%q did not notice it", m.check)
			}
			t.Logf("found: %v", err)
		})
	}
}

// Claims and answers wait for a concurrent save and see what it saved.
func TestClaimSeesWhatItWaitedFor(t *testing.T) {
	b := mustOpen(t, Server)
	begun(t, b)
	var snap core.Snapshot
	err := meanwhile(t, b, func() (err error) {
		_, snap, err = b.Claim(t.Context(), startOf("r").Key, 0)
		return err
	}, `UPDATE @.runs SET seq = 2`,
		fmt.Sprintf(`INSERT INTO @.steps SELECT run, 2, epoch, 2, 1, %d, %d, 0, 0, 0, 0, %d, 's2', '', '', '', '', '1', '2' FROM @.steps WHERE seq = 1`,
			at(2).UnixNano(), at(3).UnixNano(), sumStep(1, nil, 1, new(stepOf(2)))))
	if err != nil || len(snap.Steps) != 2 {
		t.Errorf("the claim shows %d steps, error %v; want 2", len(snap.Steps), err)
	}
}
