package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
	lib "modernc.org/sqlite/lib"
)

// doom configures a child that is killed.
type doom struct {
	Seed  uint64
	Kill  int64 // killed before this operation on the files, from 1; 0 means never
	Power bool
	Early bool // the control acknowledges before it saves
}

// goOn continues the runs of the database at path as far as possible. It writes a line to a file
// for each acknowledged save, and returns the number of operations on the files.
func (d doom) goOn(path string) (ops int64, err error) {
	ctx := context.Background()
	var n atomic.Int64
	durability := sqlitedb.Process
	if d.Power {
		durability = sqlitedb.Power
	}
	b, err := openTapped(ctx, path, durability, func(fileOp) int32 {
		if n.Add(1) == d.Kill {
			_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
			select {}
		}
		return lib.SQLITE_OK
	})
	if err != nil {
		return 0, err
	}
	p, err := castOf(3, 4, 1500)
	if err != nil {
		return 0, err
	}
	if err := p.meet(b); err != nil {
		return 0, err
	}
	if _, err := sqlitedb.Pragma(ctx, b.w.conn, sqlitedb.Setting{Name: "wal_autocheckpoint", Set: "10"}); err != nil {
		return 0, err
	}
	rng := chance(d.Seed)
	for open := p.open(); len(open) > 0; open = p.open() {
		open = open[:1+rng.IntN(len(open))]
		if d.Early {
			err = acknowledge(path, open)
		}
		if err := errors.Join(err, p.together(b, open)); err != nil {
			return 0, err
		}
		if !d.Early {
			err = acknowledge(path, open)
		}
		if err != nil {
			return 0, err
		}
	}
	err = b.Close()
	return n.Load(), err
}

func acknowledge(path string, runs []int) error {
	f, err := os.OpenFile(path+".acknowledged", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	for _, i := range runs {
		_, err = fmt.Fprintln(f, i)
	}
	return errors.Join(err, f.Close())
}

// behindKill compares the saves in the file with the acknowledged ones.
func behindKill(ctx context.Context, path string) (missing int, err error) {
	p, err := castOf(3, 4, 1500)
	if err != nil {
		return 0, err
	}
	if err := p.meetAt(ctx, path); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(path + ".acknowledged")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	for i := range p.sagas {
		missing += max(0, strings.Count(string(text), fmt.Sprintln(i))-p.done[i])
	}
	return missing, nil
}

// A process is killed before any operation on the files: while it opens, saves, writes its log into
// the database, or closes. Another process recovers and is killed as well, and a third one
// completes the runs.
func TestKilledAtFileOperations(t *testing.T) {
	if path := os.Getenv(childPath); path != "" {
		var d doom
		err := json.Unmarshal([]byte(os.Getenv(childMode)), &d)
		if err == nil {
			var n int64
			n, err = d.goOn(path)
			fmt.Println("through", n, err)
		}
		os.Exit(0)
	}
	t.Parallel()
	// spawn returns the number of operations of a child, or 0 if it was killed.
	spawn := func(t *testing.T, path string, d doom) (n int64) {
		t.Helper()
		mode, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		c := startChild(t, "TestKilledAtFileOperations", path, string(mode))
		said, err := c.out.ReadString('\n')
		waitErr := c.cmd.Wait()
		if err == nil {
			if _, err := fmt.Sscanf(said, "through %d <nil>", &n); err != nil {
				t.Fatalf("the child printed %q", said)
			}
			return n
		}
		if status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
			t.Fatalf("the child ended otherwise than by its kill: %v", waitErr)
		}
		return 0
	}
	database := func(t *testing.T) string {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "r.db")
		if err := made(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	all := spawn(t, database(t), doom{Seed: 1})
	n, rng := trials(16), chance(0)
	kills, lost, recoveries := 0, 0, 0
	for trial := uint64(0); kills < n; trial++ {
		path := database(t)
		first := doom{Seed: trial, Kill: 1 + rng.Int64N(all), Power: trial%2 == 0}
		killed := func(d doom) bool {
			if spawn(t, path, d) > 0 {
				return false
			}
			kills++
			missing, err := behindKill(t.Context(), path)
			if err != nil || missing > 0 {
				lost += missing
				t.Errorf("killed by %+v: %d acknowledged saves are missing, %v\n%s", d, missing, err, repeat(t, n))
			}
			return true
		}
		if killed(first) {
			// There are few operations, because this process opens the database and recovers it.
			if killed(doom{Seed: trial, Kill: 1 + rng.Int64N(60), Power: first.Power}) {
				recoveries++
			}
		}
		spawn(t, path, doom{Seed: trial})
		p, err := castOf(3, 4, 1500)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.meetAt(t.Context(), path); err != nil || len(p.open()) > 0 {
			t.Errorf("killed by %+v: %d runs are not at their end, %v\n%s", first, len(p.open()), err, repeat(t, n))
		}
		_ = os.RemoveAll(filepath.Dir(path))
	}
	t.Logf("%d kills before one of %d operations, %d of them while recovering: %d acknowledged saves lost\n%s", kills, all, recoveries, lost, repeat(t, n))

	t.Run("control: a process that acknowledges too early loses saves", func(t *testing.T) {
		for trial := uint64(0); trial < 40; trial++ {
			path := database(t)
			spawn(t, path, doom{Seed: trial, Kill: 1 + rng.Int64N(all), Early: true})
			if missing, err := behindKill(t.Context(), path); err != nil {
				t.Fatal(err)
			} else if missing > 0 {
				t.Logf("%d lost by kill %d", missing, trial+1)
				return
			}
		}
		t.Error("nothing was lost")
	})
}
