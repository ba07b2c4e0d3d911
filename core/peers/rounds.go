package main

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flujo/flujo-harness/core/sqlite"
)

// plan describes what to measure.
type plan struct {
	sessions           int // number of processes that measure, one after the other
	rounds, runs, warm int // per session
	block              time.Duration
	seed               uint64 // for the order of the blocks
	durabilities       []sqlite.Durability
	workers            []int // numbers of concurrent runs
	dir                string
}

// cell identifies a group of arms that are compared, or one arm of it.
type cell struct {
	Durability sqlite.Durability
	Workers    int
	Arm        string
}

// block is one timed measurement of an arm.
type block struct {
	Rate      float64   // runs per second
	Latencies []float64 // of each run, in milliseconds
	Bytes     float64   // size of the closed database file per run
}

// session holds the blocks of each cell, one per round, in the order of the rounds.
type session map[cell][]block

// measure returns the blocks of each session. Two runs of this program differ by more than its
// rounds differ among themselves, for example by the memory layout and the load of the machine.
// Therefore each session is a process of its own, and the interval is computed over sessions.
func (p plan) measure(ctx context.Context) (sessions []session, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for n := range p.sessions {
		one := p
		one.seed += uint64(n)
		cmd := exec.CommandContext(ctx, self, append(one.flags(), "-session")...)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("session %d of %d: %w", n+1, p.sessions, err)
		}
		var s session
		if err := gob.NewDecoder(bytes.NewReader(out)).Decode(&s); err != nil {
			return nil, fmt.Errorf("session %d of %d: %w", n+1, p.sessions, err)
		}
		sessions = append(sessions, s)
	}
	return sessions, nil
}

// flags returns the command line flags that measure this plan.
func (p plan) flags() []string {
	var levels, workers []string
	for _, d := range p.durabilities {
		levels = append(levels, string(d))
	}
	for _, w := range p.workers {
		workers = append(workers, strconv.Itoa(w))
	}
	return []string{"-sessions", strconv.Itoa(p.sessions), "-rounds", strconv.Itoa(p.rounds), "-runs", strconv.Itoa(p.runs), "-block", p.block.String(),
		"-warm", strconv.Itoa(p.warm), "-seed", strconv.FormatUint(p.seed, 10), "-durability", strings.Join(levels, ","),
		"-concurrency", strings.Join(workers, ","), "-dir", p.dir}
}

// session runs one session in this process.
func (p plan) session(ctx context.Context) (results session, err error) {
	if slices.Contains(p.durabilities, onPostgres) {
		if err := serverIn(p.dir); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, stopServer()) }()
	}
	rng := rand.New(rand.NewPCG(p.seed, 0))
	var groups []cell
	for _, d := range p.durabilities {
		for _, w := range p.workers {
			groups = append(groups, cell{Durability: d, Workers: w})
		}
	}
	results = session{}
	for range p.rounds {
		rng.Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
		for _, c := range groups {
			list := arms(c.Durability)
			rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			for _, a := range list {
				b, err := p.one(ctx, a, c)
				if err != nil {
					return nil, fmt.Errorf("%s, %s, %d concurrent runs: %w", a.name, c.Durability, c.Workers, err)
				}
				c.Arm = a.name
				results[c] = append(results[c], b)
			}
		}
	}
	return results, nil
}

// one measures one block on a new database.
func (p plan) one(ctx context.Context, a arm, c cell) (b block, err error) {
	dir, err := os.MkdirTemp(p.dir, "block")
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "runs.db")
	if c.Durability == onPostgres {
		var drop func() error
		if path, drop, err = newDatabase(ctx); err != nil {
			return b, err
		}
		defer func() { err = errors.Join(err, drop()) }()
	}
	e, err := a.open(ctx, path, c.Durability)
	if err != nil {
		return b, err
	}
	warm, err := timed(ctx, e, "warm", c.Workers, p.warm, 0)
	runtime.GC() // so that no arm collects the garbage of another one or of the warm-up
	if err == nil {
		b, err = timed(ctx, e, "run", c.Workers, p.runs, p.block)
	}
	total := len(warm.Latencies) + len(b.Latencies)
	if err = errors.Join(err, e.Close(ctx, total)); err != nil {
		return b, err
	}
	size, err := int64(0), error(nil)
	if c.Durability == onPostgres {
		size, err = sizeOf(ctx, path)
	} else if info, statErr := os.Stat(path); statErr == nil {
		size = info.Size()
	} else {
		err = statErr
	}
	b.Bytes = float64(size) / float64(total)
	return b, err
}

// timed executes runs with the given number of workers until there are at least runs of them and
// the time least has passed. Every run that was started is finished and counted.
func timed(ctx context.Context, e engine, prefix string, workers, runs int, least time.Duration) (block, error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	latencies, errs := make([][]float64, workers), make([]error, workers)
	start := time.Now()
	for w := range workers {
		wg.Go(func() {
			for errs[w] == nil {
				n := next.Add(1)
				began := time.Now()
				if n > int64(runs) && began.Sub(start) >= least {
					return
				}
				final, err := e.Run(ctx, fmt.Sprintf("%s-%08d", prefix, n))
				if err == nil && final != "final of a request" {
					err = fmt.Errorf("the run ended with %q", final)
				}
				errs[w] = err
				latencies[w] = append(latencies[w], float64(time.Since(began).Nanoseconds())/1e6)
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	var b block
	for _, l := range latencies {
		b.Latencies = append(b.Latencies, l...)
	}
	b.Rate = float64(len(b.Latencies)) / elapsed.Seconds()
	return b, errors.Join(errs...)
}
