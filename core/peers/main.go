// Command peers measures package core next to DBOS Transact for Go on SQLite, or on one
// PostgreSQL server: the same three-step run, the same state of about 1 KiB, at the same
// durability.
//
// A run is a start, three steps that each set one field of the state, and an end.
// Each side commits five transactions for it and stores the state at the start and
// behind each step; DBOS is spared the state at the end, since core does not save it
// again either. Both sides use the same SQLite driver in the same process. A block is
// one arm on a fresh database: opened, migrated and warmed up, then timed. Blocks
// alternate within each round in random order, and a ratio is of two blocks of one
// round. Sessions of some rounds are processes of their own, and intervals are over
// sessions: they cover the change from one run of this program to the next. After its timed part every block proves that the settings were the claimed
// ones and that its rows are in the file; one that cannot ends the program in error.
//
// It measures the happy path of one process on one machine. It does not measure
// recovery, queues, several processes, large states or steps that take time: the ratio is of what the engines
// themselves cost, and fades as the steps get slower. DBOS also checks before each
// step whether it ran before, and keeps indexes for its queries: it pays for that
// here, and its users may want it.
//
// On PostgreSQL (-durability postgres -concurrency 8,64) each session starts a server from
// Debian's programs, and each block has a database of its own on it.
//
// It is a module of its own, so that nothing of DBOS becomes a dependency of core. It
// needs a unix. "go run . -h" lists the flags.
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

// run measures as the arguments say and prints the table.
func run(ctx context.Context, out io.Writer, args []string) error {
	p := plan{}
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.IntVar(&p.sessions, "sessions", 9, "processes that measure, one after the other; 6 or more for an interval")
	flags.IntVar(&p.rounds, "rounds", 3, "rounds of a session")
	single := flags.Bool("session", false, "measure in this process and write the blocks as gob: what a session does")
	flags.IntVar(&p.runs, "runs", 200, "least runs timed in a block")
	flags.DurationVar(&p.block, "block", 400*time.Millisecond, "least time of a block: the faster arm makes more runs in it")
	flags.IntVar(&p.warm, "warm", 50, "runs before the timed part of each block")
	flags.Uint64Var(&p.seed, "seed", 1, "of the order of the blocks")
	durability := flags.String("durability", "process,power", "of SQLite process (synchronous=NORMAL), power (FULL); postgres: on a PostgreSQL server that is started for it")
	concurrency := flags.String("concurrency", "1,8", "runs at once")
	dir := flags.String("dir", os.TempDir(), "where the databases are made; must be on a real disk")
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
	if slices.Contains(p.durabilities, onPostgres) { // its server runs as another user where this one is root, and must get to its folder
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
