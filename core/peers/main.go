// Command peers compares package core with DBOS Transact for Go, on SQLite or on one PostgreSQL
// server: the same run of three steps, the same state of about 1 KiB, at the same durability.
//
// A run consists of a start, three steps that each set one field of the state, and an end. Each
// side commits five transactions for it and stores the state at the start and after each step. DBOS
// does not store the state at the end, because core does not store it again either. Both sides use
// the same SQLite driver in the same process. A block is one arm on a new database: opened,
// migrated, warmed up, then timed. In each round the blocks of all arms alternate in random order,
// and a ratio compares two blocks of one round. Sessions, each with some rounds, are separate
// processes, and intervals are computed over sessions: they include the variation from one run of
// this program to the next. After its timed part every block checks that the settings were the
// expected ones and that its rows are in the file. If not, the program exits with an error.
//
// It measures the normal case of one process on one machine. It does not measure recovery, queues,
// several processes, large states or slow steps: the ratio compares the overhead of the engines,
// which matters less the slower the steps are. DBOS also checks before each step whether it ran
// before, and maintains indexes for its queries. That costs time here, and its users may want it.
//
// On PostgreSQL (-durability postgres -concurrency 8,64) each session starts a server from the
// programs of Debian, and each block uses a new database on it.
//
// Command peers is a module of its own, so that core does not depend on DBOS. It needs a Unix
// system. "go run . -h" lists the flags.
package main

import (
	"context"
	"encoding/gob"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/flujo/flujo-harness/core/sqlite"
)

const tmpfs = 0x01021994 // f_type of statfs(2)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// run measures according to the arguments and prints the table.
func run(ctx context.Context, out io.Writer, args []string) error {
	p := plan{}
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.IntVar(&p.sessions, "sessions", 9, "number of processes that measure, one after the other; an interval needs 6 or more")
	flags.IntVar(&p.rounds, "rounds", 3, "rounds of a session")
	single := flags.Bool("session", false, "measure in this process and write the blocks as gob; used for the processes of sessions")
	flags.IntVar(&p.runs, "runs", 200, "minimum number of timed runs in a block")
	flags.DurationVar(&p.block, "block", 400*time.Millisecond, "minimum duration of a block: a faster arm executes more runs in it")
	flags.IntVar(&p.warm, "warm", 50, "runs before the timed part of each block")
	flags.Uint64Var(&p.seed, "seed", 1, "random seed for the order of the blocks")
	durability := flags.String("durability", "process,power", "SQLite: process (synchronous=NORMAL), power (FULL); postgres: a PostgreSQL server started for the session")
	concurrency := flags.String("concurrency", "1,8", "number of concurrent runs")
	dir := flags.String("dir", os.TempDir(), "directory for the databases; must be on a real disk")
	if err := flags.Parse(args); err != nil {
		return err
	}
	for d := range strings.SplitSeq(*durability, ",") {
		p.durabilities = append(p.durabilities, sqlite.Durability(d))
	}
	for c := range strings.SplitSeq(*concurrency, ",") {
		n, err := strconv.Atoi(c)
		if err != nil || n < 1 {
			return fmt.Errorf("-concurrency %q: use whole numbers from 1, with commas between", *concurrency)
		}
		p.workers = append(p.workers, n)
	}
	if p.sessions < 1 || p.rounds < 1 || p.runs < 1 {
		return fmt.Errorf("%d sessions of %d rounds of %d runs: use 1 or more of each", p.sessions, p.rounds, p.runs)
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(*dir, &disk); err != nil {
		return fmt.Errorf("file system of %s: %w", *dir, err)
	}
	if disk.Type == tmpfs {
		return fmt.Errorf("%s is in memory (tmpfs), where a sync reaches no disk: name a directory on a disk with -dir", *dir)
	}
	var err error
	if p.dir, err = os.MkdirTemp(*dir, "peers"); err != nil {
		return err
	}
	defer os.RemoveAll(p.dir)
	if slices.Contains(p.durabilities, onPostgres) { // if this process is root, the server has another user
		if err := os.Chmod(p.dir, 0o711); err != nil {
			return err
		}
	}

	if *single {
		results, err := p.session(ctx)
		if err != nil {
			return err
		}
		return gob.NewEncoder(out).Encode(results)
	}
	fmt.Fprintf(out, "%s %s/%s, %d CPUs, file system %#x, %s UTC; versions: see go.mod\n\n", runtime.Version(),
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), disk.Type, time.Now().UTC().Format(time.DateTime))
	results, err := p.measure(ctx)
	if err != nil {
		return err
	}
	if err := p.table(out, results); err != nil {
		return err
	}
	p.dir = *dir
	_, err = fmt.Fprintf(out, "\ngo run . %s\n", strings.Join(p.flags(), " "))
	return err
}
