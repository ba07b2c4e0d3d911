package postgres

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/postgres/pgserver"
)

// smallDisk mounts a file system of the given size in the directory of a server.
func smallDisk(t *testing.T, s *pgserver.Server, megabytes int) (path string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a full disk is a small tmpfs, whose mounting needs root")
	}
	path = filepath.Join(s.Dir(), "small")
	owner, err := os.Stat(s.Dir())
	if err == nil {
		err = os.Mkdir(path, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		t.Skip("a full disk is a small tmpfs, which this system does not allow to mount: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	who := owner.Sys().(*syscall.Stat_t)
	if err := errors.Join(os.Chmod(path, 0o700), os.Chown(path, int(who.Uid), int(who.Gid))); err != nil {
		t.Fatal(err)
	}
	return path
}

// larger enlarges the file system.
func larger(t *testing.T, path string, megabytes int) {
	t.Helper()
	if err := syscall.Mount("tmpfs", path, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		t.Fatal(err)
	}
}

// fill saves runs with large states in 4 goroutines until saves fail. It returns the acknowledged
// records and the errors.
func fill(b *Backend, name string, more func() bool) (acks map[string]int64, errs []error) {
	l := &load{b: b, name: name, acks: map[string]int64{}}
	large := func(seq int64) core.StepRecord {
		rec := stepOf(seq)
		rec.Output = make([]byte, 64<<10)
		_, _ = rand.Read(rec.Output) // random, because the server compresses data; never an error
		return rec
	}
	l.wake = sync.NewCond(&l.mu)
	for g := range 4 {
		l.wg.Go(func() {
			for i := 0; more(); i++ {
				run := fmt.Sprintf("%s %d-%d", name, g, i)
				lease, err := b.Start(bg, startOf(run))
				for seq := int64(0); err == nil; seq++ {
					l.ack(run, seq)
					if seq == stepsOfRun {
						break
					}
					err = b.Step(bg, lease, large(seq+1))
				}
				if err != nil {
					l.mu.Lock()
					l.errs = append(l.errs, err)
					l.mu.Unlock()
					return
				}
			}
		})
	}
	l.wg.Wait()
	return l.acks, l.errs
}

// The disk of the server's tables becomes full while runs are saved. Saves fail with a clear error
// that is not ErrInDoubt, no acknowledged record is lost, and the same backend works again when
// there is space.
func TestFullDiskOfTables(t *testing.T) {
	pgserver.Need(t)
	s := pgserver.For(t, pgserver.Options{})
	b := mustOpenAt(t, s.DSN("postgres"), Power)
	path := smallDisk(t, s, 24)
	execute(t, b, `CREATE TABLESPACE small LOCATION '`+path+`'`, qualify(`ALTER TABLE @.steps SET TABLESPACE small`, b.server.quoted()))
	acks, errs := fill(b, "full", func() bool { return true })
	for _, err := range errs {
		if code(err) != "53100" || errors.Is(err, core.ErrInDoubt) || !strings.Contains(err.Error(), "out of disk") {
			t.Errorf("on a full disk: %v", err)
		}
	}
	check := func(acks map[string]int64) {
		t.Helper()
		l := load{b: b, acks: acks}
		if n := l.lost(t, b); n > 0 {
			t.Errorf("%d acknowledged records are lost", n)
		}
	}
	check(acks)
	larger(t, path, 512)
	var runs atomic.Int64
	after, errsAfter := fill(b, "room", func() bool { return runs.Add(1) <= 8 })
	if err := errors.Join(errsAfter...); err != nil || len(after) != 8 {
		t.Errorf("%d runs after there was room again, error %v", len(after), err)
	}
	check(after)
	t.Logf("%d runs until the disk was full, %d errors, 0 acknowledged records lost, %d runs once there was room", len(acks), len(errs), len(after))
}

// The disk of the server's log becomes full. The server stops and restarts when there is space.
// Saves wait for it, and no acknowledged record is lost.
func TestFullDiskOfTheLog(t *testing.T) {
	pgserver.Need(t)
	s := pgserver.For(t, pgserver.Options{Settings: map[string]string{"max_wal_size": "4GB", "checkpoint_timeout": "1h", "restart_after_crash": "off"}})
	b := mustOpenAt(t, s.DSN("postgres"), Power)
	b.patience = 5 * time.Minute
	path := smallDisk(t, s, 64)
	wal := filepath.Join(s.Dir(), "data", "pg_wal")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", wal+"/.", path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := errors.Join(os.RemoveAll(wal), os.Symlink(path, wal), s.Restart()); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	type result struct {
		acks map[string]int64
		errs []error
	}
	done := make(chan result, 1)
	go func() {
		acks, errs := fill(b, "full", func() bool { return !stop.Load() })
		done <- result{acks, errs}
	}()
	select {
	case <-s.Ended():
	case r := <-done:
		t.Fatalf("all saves have failed while the server runs: %v\n%s", errors.Join(r.errs...), s.Log())
	}
	if log := s.Log(); !strings.Contains(log, "No space left on device") {
		t.Errorf("the server ended for another reason:\n%s", log)
	}
	larger(t, path, 1024)
	stop.Store(true)
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	r := <-done
	if err := errors.Join(r.errs...); err != nil {
		t.Errorf("saves that were not resolved: %v", err)
	}
	l := load{b: b, acks: r.acks}
	if n := l.lost(t, b); n > 0 {
		t.Errorf("%d acknowledged records are lost", n)
	}
	t.Logf("%d runs, the last of them over the end of a server without room for its log: 0 acknowledged records lost, %d errors", len(r.acks), len(r.errs))
}
