package postgres

import (
	"errors"
	"testing"

	"github.com/flujo/flujo-harness/core"
)

// Any change of saved data, by a failing disk or by another program, is detected when it is read.
func TestDamageIsNoticed(t *testing.T) {
	b := mustOpen(t, Server)
	rec := startOf("r")
	rec.Origin = core.Origin{Key: core.RunKey{Tenant: "a", Run: "parent"}, Seq: 3}
	rec.Holder = core.Holder{Executor: "me", Until: at(50)}
	lease, err := b.Start(t.Context(), rec)
	if err == nil {
		err = errors.Join(b.Step(t.Context(), lease, pauseOf(1, "t")), b.Step(t.Context(), lease, stepOf(2)),
			b.Signal(t.Context(), rec.Key, core.AnswerRecord{Token: "t", Answer: []byte("1"), Time: at(4)}))
	}
	if err != nil {
		t.Fatal(err)
	}
	whole, err := b.Load(t.Context(), rec.Key)
	if err != nil {
		t.Fatal(err)
	}
	changes := []string{
		`DELETE FROM @.steps WHERE seq = 2`, `DELETE FROM @.steps WHERE seq = 1`, `DELETE FROM @.steps WHERE seq = 0`, `DELETE FROM @.answers`,
		`UPDATE @.steps SET seq = 3 WHERE seq = 2`, `UPDATE @.steps SET state = NULL`, `UPDATE @.steps SET run = run + 1 WHERE seq = 1`,
		`INSERT INTO @.steps SELECT run, 3, epoch, status, attempts, started, ended, calls, tokens, cost, due, sum, path, token, whom, feedback, error, output, state FROM @.steps WHERE seq = 2`,
		`UPDATE @.plans SET text = 'other'`, `UPDATE @.plans SET sum = 0`,
	}
	for _, column := range []string{"epoch", "plan", "status", "seq", "answers", "seen", "started", "ended", "wake", "until", "held", "sum", "origin_seq"} {
		changes = append(changes, `UPDATE @.runs SET `+column+` = `+column+` + 1`)
	}
	for _, column := range []string{"pipeline", "executor", "error", "origin_tenant", "origin_run"} {
		changes = append(changes, `UPDATE @.runs SET `+column+` = `+column+` || 'x'`)
	}
	changes = append(changes, `UPDATE @.runs SET exits = ''`)
	for _, column := range []string{"epoch", "status", "attempts", "started", "ended", "calls", "tokens", "cost", "due", "sum"} {
		changes = append(changes, `UPDATE @.steps SET `+column+` = `+column+` + 1 WHERE seq = 1`, `UPDATE @.steps SET `+column+` = `+column+` + 1 WHERE seq = 0`)
	}
	for _, column := range []string{"path", "token", "whom", "feedback", "error", "output"} {
		changes = append(changes, `UPDATE @.steps SET `+column+` = `+column+` || 'x' WHERE seq = 1`)
	}
	changes = append(changes, `UPDATE @.steps SET state = '7' WHERE seq = 2`, `UPDATE @.steps SET output = NULL WHERE seq = 2`,
		`UPDATE @.answers SET answer = '2'`, `UPDATE @.answers SET at = at + 1`, `UPDATE @.answers SET token = 'u'`, `UPDATE @.answers SET sum = 0`)
	conn := direct(t, b)
	for _, change := range changes {
		tx, err := conn.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		tag, err := tx.Exec(t.Context(), qualify(change, b.server.quoted()))
		if err != nil || tag.RowsAffected() == 0 {
			t.Fatalf("%s: %v, %v", change, tag, err)
		}
		if _, err := b.readIn(t.Context(), tx, rec.Key, b.sql.readRun); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("%s: error %v, want %v", change, err, core.ErrCorrupt)
		}
		if _, err := b.readIn(t.Context(), tx, rec.Key, b.sql.lock); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("%s, as a claim reads it: error %v, want %v", change, err, core.ErrCorrupt)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if again, err := b.Load(t.Context(), rec.Key); err != nil || len(again.Steps) != len(whole.Steps) {
		t.Errorf("after all was undone: %v", err)
	}
}
