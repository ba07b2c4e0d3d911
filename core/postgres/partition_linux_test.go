package postgres

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/postgres/pgserver"
)

// Environment variables of a process on another host: the address of the server and the patience.
const (
	remoteDSN      = "FLUJO_TEST_REMOTE"
	remotePatience = "FLUJO_TEST_PATIENCE"
)

// remote is a load on another host. It prints each acknowledged record and each error.
type remote struct {
	cmd *exec.Cmd
	in  io.Closer

	mu    sync.Mutex
	acks  map[string]int64
	total int
	errs  []string
	wake  *sync.Cond
	ended bool
}

// onHost starts this test again as a load on the host.
func onHost(t *testing.T, h *pgserver.Host, s *pgserver.Server, patience time.Duration) *remote {
	t.Helper()
	r := &remote{acks: map[string]int64{}}
	r.wake = sync.NewCond(&r.mu)
	r.cmd = h.Command(os.Args[0], "-test.run=^TestPartition$")
	r.cmd.Env = append(os.Environ(), remoteDSN+"="+h.DSN(s, "postgres"), remotePatience+"="+patience.String())
	r.cmd.Stderr = os.Stderr
	in, err := r.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.in = in
	out, err := r.cmd.StdoutPipe()
	if err == nil {
		err = r.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill() // it may have exited
		_ = r.cmd.Wait()
	})
	go r.read(out)
	return r
}

func (r *remote) read(out io.Reader) {
	for in := bufio.NewScanner(out); in.Scan(); {
		word, rest, _ := strings.Cut(in.Text(), " ")
		r.mu.Lock()
		switch word {
		case "ack":
			var run string
			var seq int64
			if _, err := fmt.Sscanf(rest, "%s %d", &run, &seq); err == nil {
				r.acks[run] = seq
				r.total++
			}
		case "error":
			r.errs = append(r.errs, rest)
		}
		r.wake.Broadcast()
		r.mu.Unlock()
	}
	r.mu.Lock()
	r.ended = true
	r.wake.Broadcast()
	r.mu.Unlock()
}

// until waits until the condition holds or the load has ended.
func (r *remote) until(holds func() bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !holds() && !r.ended {
		r.wake.Wait()
	}
}

func (r *remote) more(n int) func() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	goal := r.total + n
	return func() bool { return r.total >= goal || len(r.errs) > 0 }
}

// beRemote runs the load until standard input ends.
func beRemote(t *testing.T, dsn string) {
	patience, err := time.ParseDuration(os.Getenv(remotePatience))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(bg, dsn, Power)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	b.patience = patience
	var printing sync.Mutex
	say := func(format string, args ...any) {
		printing.Lock()
		defer printing.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	stop := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				run := fmt.Sprintf("%v-%d-%d", patience, g, i)
				lease, err := b.Start(bg, startOf(run))
				for seq := int64(0); err == nil && seq <= stepsOfRun; seq++ {
					if seq > 0 {
						err = b.Step(bg, lease, stepOf(seq))
					}
					if err == nil {
						say("ack %s %d", run, seq)
					}
				}
				if err != nil {
					say("error in doubt: %v: %v", errors.Is(err, core.ErrInDoubt), strings.ReplaceAll(err.Error(), "\n", "; "))
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	wg.Wait()
}

// The network between the executor and the server is silently cut, between two simulated hosts on
// this machine. A cut that is shorter than the patience of a save only delays it. After a longer
// one saves fail with ErrInDoubt. No acknowledged record is lost in either case.
func TestPartition(t *testing.T) {
	if dsn := os.Getenv(remoteDSN); dsn != "" {
		beRemote(t, dsn)
		return
	}
	pgserver.Need(t)
	h := pgserver.NewHost(t)
	s := pgserver.For(t, h.Options(pgserver.Options{}))
	b := mustOpenAt(t, s.DSN("postgres"), Power)
	lost := func(r *remote) int {
		l := load{b: b, acks: r.acks}
		return l.lost(t, b)
	}

	short := onHost(t, h, s, 5*time.Minute)
	for cut := range trials(2) {
		short.until(short.more(100))
		if err := h.Cut(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(1+cut%3) * time.Second) // the duration of the cut
		if err := h.Heal(); err != nil {
			t.Fatal(err)
		}
	}
	short.until(short.more(100))
	if err := short.in.Close(); err != nil {
		t.Fatal(err)
	}
	short.until(func() bool { return false })
	if n := lost(short); n > 0 || len(short.errs) > 0 {
		t.Errorf("%d of %d acknowledged records are lost, errors %q", n, short.total, short.errs)
	}
	t.Logf("%d cuts shorter than the patience: %d acknowledged records of %d runs, 0 lost, %d errors", trials(2), short.total, len(short.acks), len(short.errs))

	t.Run("control: a cut that is longer leaves saves in doubt", func(t *testing.T) {
		long := onHost(t, h, s, 2*time.Second)
		long.until(long.more(100))
		if err := h.Cut(); err != nil {
			t.Fatal(err)
		}
		long.until(func() bool { return len(long.errs) == 8 })
		if err := h.Heal(); err != nil {
			t.Fatal(err)
		}
		inDoubt := 0
		for _, e := range long.errs {
			if strings.HasPrefix(e, "in doubt: true") {
				inDoubt++
			}
		}
		if inDoubt == 0 {
			t.Errorf("no save is in doubt: %q", long.errs)
		}
		if n := lost(long); n > 0 {
			t.Errorf("%d of %d acknowledged records are lost", n, long.total)
		}
		t.Logf("%d of 8 executors have a save in doubt, 0 of %d acknowledged records lost", inDoubt, long.total)
	})
}
