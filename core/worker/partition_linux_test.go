package worker

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/postgres/pgserver"
)

// A worker on another host is silently cut off from the server. Its runs are taken over when its
// lease ends. When the network is back, everything that it still tries to save is refused.
func TestWorkerThatIsCutOffIsReplaced(t *testing.T) {
	pgserver.Need(t)
	h := pgserver.NewHost(t)
	s := pgserver.For(t, h.Options(pgserver.Options{}))
	lease := 2 * time.Second
	if *proofN > 0 {
		lease = core.DefaultLease
	}
	w := hire(t, Config{DSN: s.DSN("postgres"), Name: "survivor", Lease: lease, Concurrency: 50})
	if err := Migrate(t.Context(), w.pool); err != nil {
		t.Fatal(err)
	}
	n := max(20, *proofN)
	cmd := startChild(t, h.Command(os.Args[0], "-test.run=^$"), childConfig{h.DSN(s, "postgres"), "cut off", lease})
	enqueue(t, w, three(nothing), numbered(n)...)
	until(t, w, n, func(r core.RunInfo) bool { return r.Usage.Steps == 1 && r.Holder.Executor == "cut off" })
	start(t, w, three(nothing))
	if err := h.Cut(); err != nil {
		t.Fatal(err)
	}
	cut := time.Now()
	runs := until(t, w, n, completed)
	t.Logf("after a silent cut, with a lease of %v: %s", lease, afterwards(runs, cut))
	if err := h.Heal(); err != nil {
		t.Fatal(err)
	}
	once(t, w, runs, 3)
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the worker that was cut off has exited: %v", err)
	}
	for _, r := range runs {
		if r.Epoch != 3 {
			t.Errorf("run %s has epoch %d, want 3: each worker claims it once", r.Key, r.Epoch)
		}
	}
}
