package storetest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/store"
)

// JobsResult is the result of [Jobs].
type JobsResult struct {
	Sent  int             // runs sent by all jobs
	Again int             // runs that had to be sent again, because the store had lost them
	Lost  int             // runs that are not in the store at the end
	Times []time.Duration // durations of all calls of Put, in ascending order
}

// P99 returns the duration that 1% of the calls of Put exceed.
func (c JobsResult) P99() time.Duration {
	if len(c.Times) == 0 {
		return 0
	}
	return c.Times[(len(c.Times)*99-1)/100]
}

func (c JobsResult) String() string {
	return fmt.Sprintf("%d runs sent, %d of them again, %d lost, put p50 %v, p99 %v, longest %v", c.Sent, c.Again, c.Lost,
		c.Times[len(c.Times)/2].Round(time.Millisecond), c.P99().Round(time.Millisecond), c.Times[len(c.Times)-1].Round(time.Millisecond))
}

// Jobs simulates CI jobs that share nothing but the store. Each of the given number of concurrent jobs
// puts the given number of runs, one after the other, from its own history in the folder dir; each run
// has the given number of specs. In every round all jobs first make a run, and then all put it at the
// same time, so that only the store is timed. At the end a further machine reads the store and counts
// the runs that are missing.
func Jobs(ctx context.Context, dir string, open func(context.Context) (store.Store, error), jobs, runs, specs int) (JobsResult, error) {
	all := make([]job, jobs)
	each := func(do func(*job) error) error {
		errs := make([]error, jobs)
		var wait sync.WaitGroup
		for j := range all {
			wait.Go(func() { errs[j] = do(&all[j]) })
		}
		wait.Wait()
		return errors.Join(errs...)
	}
	for j := range all {
		all[j].path, all[j].next = filepath.Join(dir, fmt.Sprintf("job%d.db", j)), j*runs
	}
	err := each(func(j *job) error { return j.open(ctx, open) })
	for range runs {
		if err == nil {
			err = each(func(j *job) error { return j.make(ctx, specs) })
		}
		if err == nil {
			err = each(func(j *job) error { return j.put(ctx) })
		}
	}
	// Push sends runs that the store lacks, so there must be none.
	if err == nil {
		err = each(func(j *job) (err error) { j.again, err = store.NewSyncer(j.history, j.store).Push(ctx); return err })
	}
	err = errors.Join(err, each(func(j *job) error { return j.close() }))
	c := JobsResult{Sent: jobs * runs}
	for i := range all {
		c.Times, c.Again = append(c.Times, all[i].times...), c.Again+all[i].again
	}
	slices.Sort(c.Times)
	if err != nil {
		return c, err
	}
	there, err := commits(ctx, filepath.Join(dir, "all.db"), open)
	for i := range jobs * runs {
		if !there[commit(i)] {
			c.Lost++
		}
	}
	return c, err
}

// job is a machine with its history.
type job struct {
	path    string
	history *history.History
	store   store.Store
	next    int             // number of the next run
	object  store.Object    // object of the current run
	times   []time.Duration // durations of Put
	again   int             // number of runs that Push sent again
}

func (j *job) open(ctx context.Context, open func(context.Context) (store.Store, error)) (err error) {
	if j.history, err = history.Open(ctx, j.path); err == nil {
		j.store, err = open(ctx)
	}
	return err
}

// make makes the next run and its object.
func (j *job) make(ctx context.Context, specs int) error {
	added, err := j.history.Append(ctx, Run(j.next, specs))
	if err != nil {
		return err
	}
	r, err := j.history.Load(ctx, added.ID)
	if err != nil {
		return err
	}
	if j.object.Name, j.object.Content, err = store.Encode(*r); err != nil {
		return err
	}
	j.next++
	return j.history.KnowObject(ctx, j.object.Name, added.ID)
}

func (j *job) put(ctx context.Context) error {
	began := time.Now()
	known, err := j.store.Put(ctx, j.object.Name, j.object.Content)
	j.times = append(j.times, time.Since(began))
	if err == nil && known {
		err = fmt.Errorf("put reports the new object %s as known", j.object.Name)
	}
	return err
}

func (j *job) close() (err error) {
	if j.history != nil {
		err = j.history.Close()
	}
	if j.store != nil {
		err = errors.Join(err, j.store.Close())
	}
	return err
}

// commits returns the commits of all runs in a store, each of which identifies a run.
func commits(ctx context.Context, path string, open func(context.Context) (store.Store, error)) (there map[string]bool, err error) {
	h, err := history.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	s, err := open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	done, err := store.Sync(ctx, h, s)
	if err = errors.Join(append(done.Refused, err)...); err != nil {
		return nil, err
	}
	there = map[string]bool{}
	return there, h.Each(ctx, func(r reports.Run) error { there[r.Commit] = true; return nil })
}

func commit(i int) string { return fmt.Sprintf("%040x", i+1) }

// Run returns the i-th run, with the given number of specs. The lengths of names and the variation of
// durations are like those of real runs, because they affect the size of objects.
func Run(i, specs int) reports.Run {
	r := reports.Run{Started: time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.UTC).Add(time.Duration(i) * time.Second), Seconds: 61.5,
		Commit: commit(i), Branch: "main", Command: "flujo-harness run ./...", Key: fmt.Sprint("github/", i), Format: reports.FormatGinkgo, Complete: true,
		Suites: &reports.Results{}}
	for k := range specs {
		if k%60 == 0 {
			path := fmt.Sprintf("internal/part%02d", k/60)
			r.Suites.Suites = append(r.Suites.Suites, reports.Suite{Path: path, Description: "Part " + path, Started: r.Started, Duration: 3 * time.Second, Seed: int64(i)})
		}
		path := r.Suites.Suites[k/60].Path
		s := reports.Spec{Suite: path, Containers: []string{"a pipeline of " + path, fmt.Sprintf("with %d steps and a pause", k%7)},
			Leaf: fmt.Sprintf("resumes after a crash in step %d of its plan", k), Occurrence: 1, State: reports.Passed, Attempts: 1,
			Duration: time.Duration((i*7919+k*104729)%50_000_000 + 1e6), File: path + "/resume_test.go", Line: 12 + k%60*14, Labels: []string{fmt.Sprint("category:", k%5)}}
		if (k+i)%50 == 49 {
			s.State, s.Message = reports.Failed, fmt.Sprintf("Expected\n    <int>: %d\nto equal\n    <int>: 5 in step %d", i%9, k)
		}
		r.Suites.Specs = append(r.Suites.Specs, s)
	}
	return r
}
