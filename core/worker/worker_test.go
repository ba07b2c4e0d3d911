//go:build unix

package worker

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/postgres"
	"github.com/flujo/flujo-harness/core/postgres/pgserver"
)

var shared *pgserver.Server

// childJob is the environment variable with the configuration of a child process that runs as a
// worker.
const childJob = "FLUJO_TEST_WORKER"

type childConfig struct {
	DSN, Name string
	Lease     time.Duration
}

// proofN has the same meaning as in package postgres.
var proofN = flag.Int("proof.n", 0, "worker: runs of an experiment; 0 is its short form")

func TestMain(m *testing.M) {
	if text := os.Getenv(childJob); text != "" {
		fmt.Fprintln(os.Stderr, "worker:", beWorker(text))
		os.Exit(3)
	}
	os.Exit(func() int {
		if pgserver.Missing() == nil {
			var err error
			if shared, err = pgserver.Start(pgserver.Options{Settings: map[string]string{"max_connections": "200"}}); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			defer func() { _ = shared.Stop() }() // the tests are over
		}
		return m.Run()
	}())
}

// beWorker runs a worker whose second steps never end.
func beWorker(text string) error {
	var c childConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	ctx := context.Background()
	w, err := New(ctx, Config{DSN: c.DSN, Durability: postgres.Server, Name: c.Name, Concurrency: 200, Lease: c.Lease, Sweep: 100 * time.Millisecond})
	if err != nil {
		return err
	}
	if err := Handle(w, three(func(ctx context.Context, path string) error {
		if path == "b" {
			<-ctx.Done() // ends when the lease is lost
			return ctx.Err()
		}
		return nil
	})); err != nil {
		return err
	}
	return w.Run(ctx)
}

type doc struct{ Text string }

// three returns a pipeline of three steps that call in, followed by the nodes in more.
func three(in func(ctx context.Context, path string) error, more ...*core.Node[doc]) *core.Pipeline[doc] {
	agent := core.Func[string, string](func(ctx context.Context, r core.Request[string]) (string, error) {
		return r.Input + " " + r.Path, in(ctx, r.Path)
	})
	var nodes []*core.Node[doc]
	for _, name := range []string{"a", "b", "c"} {
		nodes = append(nodes, core.Step(name, agent, func(d doc) string { return d.Text }, func(d *doc, s string) { d.Text = s }))
	}
	p, err := core.New("three", append(nodes, more...)...)
	if err != nil {
		panic(err)
	}
	return p
}

func nothing(context.Context, string) error { return nil }

// database creates an empty database with River's tables.
func database(t *testing.T) string {
	t.Helper()
	pgserver.Need(t)
	admin, err := pgx.Connect(t.Context(), shared.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.Background())
	name := strings.ToLower(t.Name())
	for _, text := range []string{`DROP DATABASE IF EXISTS %s WITH (FORCE)`, `CREATE DATABASE %s`} { // with -count it exists already
		if _, err := admin.Exec(t.Context(), fmt.Sprintf(text, pgx.Identifier{name}.Sanitize())); err != nil {
			t.Fatal(err)
		}
	}
	w := hire(t, Config{DSN: shared.DSN(name)})
	if err := Migrate(t.Context(), w.pool); err != nil {
		t.Fatal(err)
	}
	return shared.DSN(name)
}

// hire returns a worker that is not running yet.
func hire(t *testing.T, c Config) *Worker {
	t.Helper()
	c.Durability, c.Sweep = postgres.Server, 50*time.Millisecond
	if c.Lease == 0 {
		c.Lease = time.Hour // no worker is replaced because of its lease
	}
	w, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// start runs a worker and returns a function that stops it.
func start(t *testing.T, w *Worker, p *core.Pipeline[doc], opts ...Option) (stop func()) {
	t.Helper()
	if err := Handle(w, p, opts...); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("worker %s: %v", w.Name(), err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func enqueue(t *testing.T, w *Worker, p *core.Pipeline[doc], runs ...string) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), w.Pool(), func(tx pgx.Tx) error {
		for _, run := range runs {
			if err := Enqueue(t.Context(), w, tx, p, core.RunKey{Tenant: "\xff\x00", Run: run}, doc{run}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func numbered(n int) (runs []string) {
	for i := range n {
		runs = append(runs, fmt.Sprint("r", i))
	}
	return runs
}

// patience limits the waits of the tests, each of which takes seconds at most.
const patience = 2 * time.Minute

// eventually waits until is returns true. what describes the condition.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// until waits until all n runs satisfy is.
func until(t *testing.T, w *Worker, n int, is func(core.RunInfo) bool) (runs []core.RunInfo) {
	t.Helper()
	good := 0
	defer func() {
		if t.Failed() {
			t.Logf("%d of %d runs are as awaited: %+v", good, n, runs)
		}
	}()
	eventually(t, fmt.Sprintf("%d runs are as awaited", n), func() (all bool) {
		var err error
		if runs, err = w.backend.List(context.Background(), core.Filter{}); err != nil {
			t.Fatal(err)
		}
		good = 0
		for _, r := range runs {
			if is(r) {
				good++
			}
		}
		return good == n
	})
	return runs
}

func completed(r core.RunInfo) bool { return r.Status == core.Completed }

// once checks that each step of each run is recorded once.
func once(t *testing.T, w *Worker, runs []core.RunInfo, steps int) {
	t.Helper()
	for _, r := range runs {
		snap, err := w.backend.Load(context.Background(), r.Key)
		if err != nil {
			t.Fatal(err)
		}
		paths := map[string]int{}
		for _, s := range snap.Steps {
			if paths[s.Path]++; paths[s.Path] > 1 {
				t.Errorf("run %s: step %s is recorded %d times", r.Key, s.Path, paths[s.Path])
			}
		}
		if len(paths) != steps {
			t.Errorf("run %s has %d steps, want %d", r.Key, len(paths), steps)
		}
	}
}

func TestRunsAreDistributed(t *testing.T) {
	dsn := database(t)
	a, b := hire(t, Config{DSN: dsn, Name: "a", Concurrency: 4}), hire(t, Config{DSN: dsn, Name: "b", Concurrency: 4})
	const n = 40
	// Agents of both workers must run at the same time: no agent goes on before, so that neither
	// worker can finish all runs before the other one has begun.
	ran := map[string]chan struct{}{"a": make(chan struct{}), "b": make(chan struct{})}
	meet := func(name, other string) func(context.Context, string) error {
		here := sync.OnceFunc(func() { close(ran[name]) })
		return func(ctx context.Context, _ string) error {
			here()
			select {
			case <-ran[other]:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	enqueue(t, a, three(nothing), numbered(n)...)
	start(t, a, three(meet("a", "b")))
	start(t, b, three(meet("b", "a")))
	once(t, a, until(t, a, n, completed), 3)
}

// A run and its job exist if, and only if, the transaction of the caller commits.
func TestEnqueueIsPartOfTheTransaction(t *testing.T) {
	w := hire(t, Config{DSN: database(t)})
	p, key := three(nothing), core.RunKey{Run: "r"}
	undo := errors.New("undo")
	err := pgx.BeginFunc(t.Context(), w.Pool(), func(tx pgx.Tx) error {
		return errors.Join(Enqueue(t.Context(), w, tx, p, key, doc{}), undo)
	})
	if !errors.Is(err, undo) {
		t.Fatal(err)
	}
	jobs := func() (n int) {
		if err := w.pool.QueryRow(t.Context(), `SELECT count(*) FROM river_job`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if _, err := w.backend.Load(t.Context(), key); !errors.Is(err, core.ErrRunNotFound) || jobs() != 0 {
		t.Errorf("after a rollback: error %v, %d jobs", err, jobs())
	}
	enqueue(t, w, p, "r")
	if jobs() != 1 {
		t.Errorf("%d jobs, want 1", jobs())
	}
	err = pgx.BeginFunc(t.Context(), w.Pool(), func(tx pgx.Tx) error {
		return Enqueue(t.Context(), w, tx, p, core.RunKey{Tenant: "\xff\x00", Run: "r"}, doc{})
	})
	if !errors.Is(err, core.ErrRunExists) || jobs() != 1 {
		t.Errorf("enqueued again: error %v, %d jobs", err, jobs())
	}
	var name string
	if err := w.pool.QueryRow(t.Context(), `SELECT args ->> 'name' FROM river_job`).Scan(&name); err != nil || name != "\ufffd\ufffd/r" {
		t.Errorf("the job shows the run as %q, error %v", name, err)
	}
}

// child starts a worker in a child process.
func child(t *testing.T, c childConfig) *exec.Cmd {
	t.Helper()
	return startChild(t, exec.Command(os.Args[0], "-test.run=^$"), c)
}

// startChild starts cmd, which must run this program, as a worker.
func startChild(t *testing.T, cmd *exec.Cmd, c childConfig) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), childJob+"="+string(text))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	return cmd
}

// A worker with a lease of one hour is killed in the middle of its runs. Another worker continues
// all of them, because the session of the first is gone.
func TestKilledWorkerIsReplaced(t *testing.T) {
	dsn := database(t)
	w := hire(t, Config{DSN: dsn, Name: "survivor", Concurrency: 50})
	n := 20
	if *proofN > 0 {
		n = *proofN
	}
	cmd := child(t, childConfig{dsn, "victim", time.Hour})
	enqueue(t, w, three(nothing), numbered(n)...)
	until(t, w, n, func(r core.RunInfo) bool { return r.Usage.Steps == 1 && r.Holder.Executor == "victim" })
	start(t, w, three(nothing))
	killed := time.Now()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	runs := until(t, w, n, completed)
	t.Logf("after kill -9 of their worker %s", afterwards(runs, killed))
	once(t, w, runs, 3)
	for _, r := range runs {
		if r.Epoch != 3 { // started, then claimed by the victim and by the survivor
			t.Errorf("run %s has epoch %d, want 3: each worker claims it once", r.Key, r.Epoch)
		}
	}
}

// afterwards describes how long after a moment the runs were completed.
func afterwards(runs []core.RunInfo, then time.Time) string {
	var took []float64
	for _, r := range runs {
		took = append(took, r.Ended.Sub(then).Seconds())
	}
	slices.Sort(took)
	rank := func(p float64) float64 { return took[max(0, int(math.Ceil(p*float64(len(took))))-1)] }
	return fmt.Sprintf("%d runs completed: the median after %.2f s, p99 after %.2f s, the last after %.2f s", len(took), rank(0.5), rank(0.99), took[len(took)-1])
}

// A frozen worker keeps its session. It is replaced when its lease ends, and its saves are refused
// when it wakes up.
func TestFrozenWorkerIsReplaced(t *testing.T) {
	dsn := database(t)
	w := hire(t, Config{DSN: dsn, Name: "survivor", Lease: 2 * time.Second})
	cmd := child(t, childConfig{dsn, "frozen", 2 * time.Second})
	enqueue(t, w, three(nothing), "r")
	until(t, w, 1, func(r core.RunInfo) bool { return r.Usage.Steps == 1 && r.Holder.Executor == "frozen" })
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	start(t, w, three(nothing))
	runs := until(t, w, 1, completed)
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	once(t, w, runs, 3)
}

// A live worker whose steps take longer than several sweeps keeps its runs.
func TestLivingWorkerKeepsItsRuns(t *testing.T) {
	dsn := database(t)
	a, b := hire(t, Config{DSN: dsn, Name: "a"}), hire(t, Config{DSN: dsn, Name: "b"})
	looks := make(chan bool)
	start(t, b, three(nothing, core.Wait[doc]("other plan", func(doc) time.Duration { return 0 })))
	enqueue(t, a, three(nothing), "r")
	start(t, a, three(func(_ context.Context, path string) error {
		if path == "b" {
			<-looks
		}
		return nil
	}))
	until(t, a, 1, func(r core.RunInfo) bool { return r.Usage.Steps == 1 })
	s := sweeper{w: b, missing: map[string]int{}}
	for range 5 {
		if err := s.rescue(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.wake(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	looks <- true
	if r := until(t, a, 1, completed); r[0].Epoch != 2 {
		t.Errorf("epoch %d, want 2: a single claim", r[0].Epoch)
	}
}

// A worker that ends releases its runs: another one continues them immediately, although the lease
// is an hour long.
func TestEndingWorkerGivesRunsBack(t *testing.T) {
	dsn := database(t)
	a, b := hire(t, Config{DSN: dsn, Name: "a", Drain: time.Millisecond}), hire(t, Config{DSN: dsn, Name: "b"})
	const n = 5
	enqueue(t, a, three(nothing), numbered(n)...)
	stop := start(t, a, three(func(ctx context.Context, path string) error {
		if path == "b" {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}))
	until(t, a, n, func(r core.RunInfo) bool { return r.Usage.Steps == 1 })
	stop()
	start(t, b, three(nothing))
	once(t, b, until(t, b, n, completed), 3)
}

// Runs wait for a worker that knows their plan. Old and new workers can run side by side.
func TestWorkersTakeOnlyPlansTheyKnow(t *testing.T) {
	dsn := database(t)
	old, new := three(nothing), three(nothing, core.Validate("v", func(doc) error { return nil },
		core.Step("d", core.Func[string, string](func(context.Context, core.Request[string]) (string, error) { return "d", nil }),
			func(doc) string { return "" }, func(*doc, string) {})))
	if old.Fingerprint() == new.Fingerprint() {
		t.Fatal("the plans are the same")
	}
	a := hire(t, Config{DSN: dsn, Name: "a"})
	enqueue(t, a, new, "new")
	start(t, a, old)
	enqueue(t, a, old, "old")
	runs := until(t, a, 1, completed)
	for _, r := range runs {
		if r.Key.Run == "new" && r.State(a.now()) != "pending" {
			t.Errorf("a worker that does not know the plan made it %s", r.State(a.now()))
		}
	}
	b := hire(t, Config{DSN: dsn, Name: "b"})
	start(t, b, new, Adopting(old.Fingerprint()))
	until(t, a, 2, completed)
	if err := Handle(b, old); err == nil {
		t.Error("a plan was handled twice")
	}
}

// Answers and timers make paused runs continue.
func TestAnswersAndTimersWakeRuns(t *testing.T) {
	w := hire(t, Config{DSN: database(t)})
	p := three(nothing,
		core.Human("ask", func(doc) string { return "?" }, func(d *doc, answer string) { d.Text += answer }),
		core.Wait[doc]("wait", func(doc) time.Duration { return 300 * time.Millisecond }))
	start(t, w, p)
	enqueue(t, w, p, "r")
	until(t, w, 1, func(r core.RunInfo) bool { return r.Status == core.Paused })
	questions, err := w.backend.Questions(t.Context(), core.Filter{})
	if err != nil || len(questions) != 1 {
		t.Fatalf("%d questions, error %v", len(questions), err)
	}
	q := questions[0]
	if _, _, err := core.Answer(t.Context(), core.NewEngine(core.WithBackend(w.backend)), p, q.Key, q.Token, "yes"); err != nil {
		t.Fatal(err)
	}
	until(t, w, 1, completed)
}

// A step that fails with ErrHarness is retried later, and the run continues from its last record.
func TestRunThatCannotGoOnIsTriedAgain(t *testing.T) {
	w := hire(t, Config{DSN: database(t)})
	var failures atomic.Int64
	p := three(func(_ context.Context, path string) error {
		if path == "b" && failures.Add(1) == 1 {
			return core.ErrHarness
		}
		return nil
	})
	enqueue(t, w, p, "r")
	start(t, w, p)
	runs := until(t, w, 1, completed)
	if runs[0].Epoch != 3 || failures.Load() != 2 {
		t.Errorf("epoch %d after %d calls, want 3 after 2", runs[0].Epoch, failures.Load())
	}
}

func TestTwoWorkersOfOneNameAreRefused(t *testing.T) {
	dsn := database(t)
	a, b := hire(t, Config{DSN: dsn, Name: "same"}), hire(t, Config{DSN: dsn, Name: "same"})
	start(t, a, three(nothing))
	eventually(t, "the first worker has its session", a.presence.present)
	if err := Handle(b, three(nothing)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience) // of a worker that is not refused
	defer cancel()
	if err := b.Run(ctx); err == nil || !strings.Contains(err.Error(), "worker names must be unique") {
		t.Errorf("error %v", err)
	}
	if err := hire(t, Config{DSN: dsn}).Run(ctx); err == nil || !strings.Contains(err.Error(), "handles no pipeline") {
		t.Errorf("without a pipeline: error %v", err)
	}
}

// A worker whose session was ended by the server opens a new one, and waits for a lease before it
// treats other workers as lost.
func TestPresenceComesBack(t *testing.T) {
	w := hire(t, Config{DSN: database(t), Name: "w"})
	start(t, w, three(nothing))
	var before time.Time
	// Before the first sweep Run may still be checking the session, and would fail if it is gone.
	eventually(t, "the worker has made its first sweep", func() bool {
		w.presence.mu.Lock()
		defer w.presence.mu.Unlock()
		before = w.presence.since
		return w.presence.sweeps
	})
	ended := false
	err := w.pool.QueryRow(t.Context(), `SELECT bool_or(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND pid <> pg_backend_pid()
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&ended)
	if err != nil || !ended {
		t.Fatalf("ended %v, error %v", ended, err)
	}
	eventually(t, "the worker has a new session", func() bool {
		w.presence.mu.Lock()
		defer w.presence.mu.Unlock()
		return w.presence.conn != nil && w.presence.since.After(before)
	})
	if _, judges, err := w.presence.beat(t.Context()); err != nil || judges {
		t.Errorf("right after the session is back, other workers are treated as lost: %v, error %v", judges, err)
	}
	if there, err := w.there(t.Context(), []string{"w", "nobody"}); err != nil || !there["w"] || there["nobody"] {
		t.Errorf("there: %v, error %v", there, err)
	}
}

func TestHealthAndMetrics(t *testing.T) {
	reader := metric.NewManualReader()
	w := hire(t, Config{DSN: database(t), Meter: metric.NewMeterProvider(metric.WithReader(reader)).Meter("test")})
	status := func() int {
		out := httptest.NewRecorder()
		w.Health().ServeHTTP(out, httptest.NewRequest("GET", "/health", nil))
		if !json.Valid(out.Body.Bytes()) {
			t.Errorf("health: %s", out.Body)
		}
		return out.Code
	}
	if got := status(); got != 503 {
		t.Errorf("before it runs: status %d, want 503", got)
	}
	stop := start(t, w, three(nothing))
	enqueue(t, w, three(nothing), "r")
	until(t, w, 1, completed)
	if got := status(); got != 200 {
		t.Errorf("while it runs: status %d, want 200", got)
	}
	stop()
	if got := status(); got != 503 {
		t.Errorf("after it ran: status %d, want 503", got)
	}
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			found[m.Name] = true
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "flujo.worker.executions" && sum.DataPoints[0].Value != 1 {
				t.Errorf("%d executions, want 1", sum.DataPoints[0].Value)
			}
		}
	}
	for _, name := range []string{"flujo.worker.executions", "flujo.worker.execution.duration", "flujo.worker.executions.active"} {
		if !found[name] {
			t.Errorf("the metric %s is missing: %v", name, found)
		}
	}
}
