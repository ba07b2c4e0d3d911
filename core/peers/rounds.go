package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flujo/flujo-harness/core/sqlite"
)

// plan is what to measure.
type plan struct {
	rounds, runs, warm int
	block              time.Duration
	seed               uint64 // of the order of the blocks
	durabilities       []sqlite.Durability
	workers            []int // runs at once
	dir                string
}

// cell is a group of arms that are compared, or one of them.
type cell struct {
	durability sqlite.Durability
	workers    int
	arm        string
}

// block is one arm timed once.
type block struct {
	rate      float64   // runs a second
	latencies []float64 // of each run, milliseconds
	bytes     float64   // of the closed database file, a run
}

// measure returns the blocks of each cell, one a round, in order of the rounds.
func (p plan) measure(ctx context.Context) (map[cell][]block, error) {
	rng := rand.New(rand.NewPCG(p.seed, 0))
	var groups []cell
	for _, d := range p.durabilities {
		for _, w := range p.workers {
			groups = append(groups, cell{durability: d, workers: w})
		}
	}
	results := map[cell][]block{}
	for range p.rounds {
		rng.Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
		for _, c := range groups {
			list := arms(c.durability)
			rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			for _, a := range list {
				b, err := p.one(ctx, a, c)
				if err != nil {
					return nil, fmt.Errorf("%s, %s, %d at once: %w", a.name, c.durability, c.workers, err)
				}
				c.arm = a.name
				results[c] = append(results[c], b)
			}
		}
	}
	return results, nil
}

// one block on a database of its own.
func (p plan) one(ctx context.Context, a arm, c cell) (b block, err error) {
	dir, err := os.MkdirTemp(p.dir, "block")
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "runs.db")
	e, err := a.open(ctx, path, c.durability)
	if err != nil {
		return b, err
	}
	warm, err := timed(ctx, e, "warm", c.workers, p.warm, 0)
	runtime.GC() // no arm pays for the garbage of another, or of the warm-up
	if err == nil {
		b, err = timed(ctx, e, "run", c.workers, p.runs, p.block)
	}
	total := len(warm.latencies) + len(b.latencies)
	if err = errors.Join(err, e.Close(ctx, total)); err != nil {
		return b, err
	}
	info, err := os.Stat(path)
	if err == nil {
		b.bytes = float64(info.Size()) / float64(total)
	}
	return b, err
}

// timed makes runs with so many workers until there are enough of them and the time
// is over. Every run that is begun is finished and counted.
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
		b.latencies = append(b.latencies, l...)
	}
	b.rate = float64(len(b.latencies)) / elapsed.Seconds()
	return b, errors.Join(errs...)
}
