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

// Campaign is what [Jobs] found.
type Campaign struct {
	Sent  int             // runs, by all jobs
	Again int             // of them, that were sent once more because the store had lost them
	Lost  int             // of them, not in the store at the end
	Times []time.Duration // of each push, sorted
}

// P99 is the time that one push of a hundred exceeds.
func (c Campaign) P99() time.Duration {
	if len(c.Times) == 0 {
		return 0
	}
	return c.Times[(len(c.Times)*99-1)/100]
}

func (c Campaign) String() string {
	return fmt.Sprintf("%d runs sent, %d of them again, %d lost, push p50 %v, p99 %v, longest %v", c.Sent, c.Again, c.Lost,
		c.Times[len(c.Times)/2].Round(time.Millisecond), c.P99().Round(time.Millisecond), c.Times[len(c.Times)-1].Round(time.Millisecond))
}

// Jobs lets so many jobs at once each put so many runs, one after the other, from a history of its
// own in the folder dir, as machines do that share nothing but the store. All jobs make a run, then
// all send it at the same moment: the times are those of the store alone. Then one more machine
// takes all from the store and counts what is missing. Each run has so many specs.
func Jobs(ctx context.Context, dir string, open func(context.Context) (store.Store, error), jobs, runs, specs int) (Campaign, error) {
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
	// What was put is in the store, so that a synchronization has nothing to send.
	if err == nil {
		err = each(func(j *job) (err error) { j.again, err = store.NewSyncer(j.history, j.store).Push(ctx); return err })
	}
	err = errors.Join(err, each(func(j *job) error { return j.close() }))
	c := Campaign{Sent: jobs * runs}
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
	next    int // run
	object  store.Object
	times   []time.Duration
	again   int
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
		err = fmt.Errorf("the store says that it had %s before", j.object.Name)
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

// commits are those of all runs of a store.
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

// Run makes the i-th run, with so many specs of names and durations as they are in real runs.
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
