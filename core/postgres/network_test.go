package postgres

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flujo/flujo-harness/core"
)

// deed is one write of a backend that is tested with a faulty network.
type deed struct {
	name string
	// prepare creates what the write needs, over a backend without the proxy.
	prepare func(t testing.TB, b *Backend, run string) core.Lease
	do      func(b *Backend, run string, lease core.Lease) error
	// done returns an error unless the write took effect exactly once.
	done func(run core.Snapshot) error
}

func prepared(t testing.TB, b *Backend, run string) core.Lease {
	t.Helper()
	lease, err := b.Start(t.Context(), startOf(run))
	if err == nil {
		err = b.Step(t.Context(), lease, pauseOf(1, "t"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

func expect(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func keyed(run string) core.RunKey { return startOf(run).Key }

var bg = context.Background()

var deeds = []deed{
	{"start", func(testing.TB, *Backend, string) core.Lease { return core.Lease{} },
		func(b *Backend, run string, _ core.Lease) error { _, err := b.Start(bg, startOf(run)); return err },
		func(s core.Snapshot) error { return expect(s.Status == core.Running && s.Epoch == 1, "%v", s.Status) }},
	{"step", prepared,
		func(b *Backend, _ string, l core.Lease) error { return b.Step(bg, l, stepOf(2)) },
		func(s core.Snapshot) error { return expect(len(s.Steps) == 2, "%d steps", len(s.Steps)) }},
	{"enqueued steps", prepared,
		func(b *Backend, _ string, l core.Lease) error {
			first, second := b.Enqueue(l, new(stepOf(2))), b.Enqueue(l, new(stepOf(3)))
			return errors.Join(first.Wait(), second.Wait())
		},
		func(s core.Snapshot) error { return expect(len(s.Steps) == 3, "%d steps", len(s.Steps)) }},
	{"end", prepared,
		func(b *Backend, _ string, l core.Lease) error {
			return b.Finish(bg, l, core.FinishRecord{Status: core.Completed, Time: at(5)})
		},
		func(s core.Snapshot) error { return expect(s.Status == core.Completed, "%v", s.Status) }},
	{"end with a state", prepared,
		func(b *Backend, _ string, l core.Lease) error {
			return b.Finish(bg, l, core.FinishRecord{Status: core.Failed, State: []byte(`"end"`), Seq: 2, Time: at(5)})
		},
		func(s core.Snapshot) error { return expect(string(s.State) == `"end"`, "%s", s.State) }},
	{"pause", prepared,
		func(b *Backend, _ string, l core.Lease) error {
			return b.Finish(bg, l, core.FinishRecord{Status: core.Paused, Time: at(5)})
		},
		func(s core.Snapshot) error { return expect(s.Status == core.Paused, "%v", s.Status) }},
	{"answer", prepared,
		func(b *Backend, run string, _ core.Lease) error {
			return b.Signal(bg, keyed(run), core.AnswerRecord{Token: "t", Answer: []byte("1"), Time: at(4)})
		},
		func(s core.Snapshot) error { return expect(len(s.Answers) == 1, "%d answers", len(s.Answers)) }},
	{"claim", prepared,
		func(b *Backend, run string, _ core.Lease) error {
			l, snap, err := b.Claim(bg, keyed(run), 0)
			return errors.Join(err, expect(err != nil || l.Epoch == 2 && snap.Epoch == 2 && l.ID > 0 && len(snap.Steps) == 1, "%+v", l))
		},
		func(s core.Snapshot) error { return expect(s.Epoch == 2, "epoch %d", s.Epoch) }},
	{"acquisition", prepared,
		func(b *Backend, run string, _ core.Lease) error {
			known := core.Snapshot{Start: startOf(run), Status: core.Running, Epoch: 1, Steps: []core.StepRecord{pauseOf(1, "t")}}
			l, _, err := b.Acquire(bg, known, core.Holder{Executor: "me", Until: at(99)})
			return errors.Join(err, expect(err != nil || l.Epoch == 2 && l.ID > 0, "%+v", l))
		},
		func(s core.Snapshot) error {
			return expect(s.Epoch == 2 && s.Holder.Executor == "me", "epoch %d of %q", s.Epoch, s.Holder.Executor)
		}},
	{"acquisition of a run that has failed", func(t testing.TB, b *Backend, run string) core.Lease {
		l := prepared(t, b, run)
		if err := b.Finish(bg, l, core.FinishRecord{Status: core.Failed, State: []byte(`"end"`), Seq: 2, Time: at(5)}); err != nil {
			t.Fatal(err)
		}
		return l
	},
		func(b *Backend, run string, _ core.Lease) error {
			l, _, err := b.Acquire(bg, core.Snapshot{Start: startOf(run), Status: core.Failed, Epoch: 1}, core.Holder{Executor: "me", Until: at(99)})
			return errors.Join(err, expect(err != nil || l.Epoch == 2, "%+v", l))
		},
		func(s core.Snapshot) error {
			return expect(s.Epoch == 2 && s.Status == core.Running && string(s.State) == `{"n":0}`, "epoch %d, %v, state %s", s.Epoch, s.Status, s.State)
		}},
	{"heartbeat", prepared,
		func(b *Backend, _ string, l core.Lease) error {
			lost, err := b.Renew(bg, core.Holder{Executor: "me", Until: at(99)}, []core.Lease{l})
			return errors.Join(err, expect(len(lost) == 0, "%v lost", lost))
		},
		func(s core.Snapshot) error { return expect(s.Holder.Until.Equal(at(99)), "%v", s.Holder) }},
}

// Whichever message of a write is lost, or arrives after the connection was closed, the write takes
// effect once and succeeds.
func TestWritesOutliveALostConnection(t *testing.T) {
	p, b, straight := throughProxy(t)
	names := map[harm]string{noAnswer: "its answer is lost", noRequest: "it is lost", late: "it arrives late"}
	for _, d := range deeds {
		for h, what := range names {
			t.Run(d.name+": "+what, func(t *testing.T) {
				harmed := 0
				for n := 1; ; n++ {
					run := fmt.Sprint(d.name, what, n)
					warm := d.prepare(t, straight, run+" warm")
					if err := d.do(b, run+" warm", warm); err != nil { // prepares the statements on the connection
						t.Fatal(err)
					}
					lease := d.prepare(t, straight, run)
					before := b.Counts()
					p.arm(h, n)
					err := d.do(b, run, lease)
					if !p.disarm() {
						break // the write has fewer messages
					}
					harmed++
					if h == late {
						p.deliver()
					}
					if err != nil {
						t.Errorf("message %d: error %v", n, err)
					}
					snap, err := straight.Load(bg, keyed(run))
					if err == nil {
						err = d.done(snap)
					}
					if err != nil {
						t.Errorf("message %d: %v", n, err)
					}
					after := b.Counts()
					if got := after.Saves + after.Claims + after.Heartbeats - before.Saves - before.Claims - before.Heartbeats; got != 1 && d.name != "enqueued steps" {
						t.Errorf("message %d: %d writes are counted, want 1", n, got)
					}
				}
				if harmed == 0 {
					t.Error("no message was lost or delayed")
				}
			})
		}
	}
}

// A save waits for a silent server no longer than the patience lasts. If a write was sent, the
// error is ErrInDoubt. Loading the run later shows whether it took effect.
func TestSilenceIsInDoubt(t *testing.T) {
	for h, saved := range map[harm]bool{silence: false, noDelivery: true} {
		p, b, straight := throughProxy(t)
		b.patience = 300 * time.Millisecond
		lease := prepared(t, straight, "r")
		warm := prepared(t, straight, "warm")
		if err := b.Step(t.Context(), warm, stepOf(2)); err != nil {
			t.Fatal(err)
		}
		p.arm(h, 1)
		if err := b.Step(t.Context(), lease, stepOf(2)); !errors.Is(err, core.ErrInDoubt) {
			t.Errorf("error %v, want %v", err, core.ErrInDoubt)
		}
		// Nothing is sent here, so it is known that the step was not saved.
		if err := b.Step(t.Context(), lease, stepOf(3)); err == nil || errors.Is(err, core.ErrFenced) {
			t.Errorf("a step after it: error %v", err)
		}
		p.cut()
		snap, err := straight.Load(t.Context(), keyed("r"))
		if err != nil || (len(snap.Steps) == 2) != saved {
			t.Errorf("%d steps, error %v; saved %v", len(snap.Steps), err, saved)
		}
		b.patience = Patience
		// The caller loads the run and continues from its records.
		l, snap, err := b.Claim(t.Context(), keyed("r"), 0)
		if err == nil {
			err = b.Step(t.Context(), l, stepOf(int64(len(snap.Steps)+1)))
		}
		if err != nil {
			t.Errorf("continue the run: %v", err)
		}
	}
}

// The server has no free connection. A write waits for one, and the error says so. It is not
// ErrInDoubt, because nothing was sent.
func TestNoConnectionLeft(t *testing.T) {
	straight := mustOpen(t, Server)
	admin := direct(t, straight)
	role := "limited_" + straight.server.schema[:9]
	execute(t, straight, append([]string{`CREATE ROLE ` + role + ` LOGIN CONNECTION LIMIT 2`}, Grants(straight.server.schema, role, false)...)...)
	dsn := as(t, straight, role, "")
	b := mustOpenAt(t, dsn+"&pool_max_conns=1", Server)
	b.patience = 2 * time.Second
	b.pool.Reset() // closes its connection; other clients take its slot
	eventually(t, "the connection is closed", func() bool {
		var left int
		if err := admin.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE usename = $1`, role).Scan(&left); err != nil {
			t.Fatal(err)
		}
		return left == 0
	})
	config, err := parse(dsn, Server, false)
	if err != nil {
		t.Fatal(err)
	}
	var others []*pgx.Conn
	for range 2 {
		conn, err := pgx.ConnectConfig(t.Context(), config.config.ConnConfig.Copy())
		if err != nil {
			t.Fatal(err)
		}
		others = append(others, conn)
	}
	_, err = b.Start(t.Context(), startOf("r"))
	if code(err) != "53300" || errors.Is(err, core.ErrInDoubt) {
		t.Errorf("error %v, want one of too many connections", err)
	}
	for _, conn := range others {
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	b.patience = Patience
	if _, err := b.Start(t.Context(), startOf("r")); err != nil {
		t.Errorf("with a connection again: %v", err)
	}
}

// Where the patience ends, the error is the last refusal of the server, not that the last try was cut off.
func TestErrorNamesTheLastRefusal(t *testing.T) {
	b := mustOpen(t, Server)
	b.patience = time.Second
	tries := 0
	err := b.persist(time.Now(), new(bool), func(ctx context.Context, _ *pgxpool.Conn) error {
		if tries++; tries == 1 {
			return &pgconn.PgError{Code: "53300"}
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if code(err) != "53300" {
		t.Errorf("after %d tries: %v, want the code of the first", tries, err)
	}
}

// All connections of the backend are in use. A cancelled caller leaves the queue and saves nothing.
// The others are saved when a connection is free.
func TestPoolExhausted(t *testing.T) {
	straight := mustOpen(t, Server)
	b := mustOpenAt(t, inSchema(straight.server.config.ConnString(), straight.server.schema)+"&pool_max_conns=1", Server)
	held, err := b.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone, stays := make(chan error, 1), make(chan error, 1)
	go func() { _, err := b.Start(ctx, startOf("gone")); gone <- err }()
	go func() { _, err := b.Start(t.Context(), startOf("stays")); stays <- err }()
	eventually(t, "both saves are queued", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.queue) == 2
	})
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	held.Release()
	if err := <-stays; err != nil {
		t.Error(err)
	}
	if _, err := straight.Load(t.Context(), keyed("gone")); !errors.Is(err, core.ErrRunNotFound) {
		t.Errorf("the cancelled start: error %v, want %v", err, core.ErrRunNotFound)
	}
	if got := b.Counts(); got.Saves != 1 {
		t.Errorf("%d saves, want 1", got.Saves)
	}
}
