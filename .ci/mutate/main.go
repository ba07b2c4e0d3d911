// Command mutate changes a package in many small ways, one at a time, and runs the package's
// own tests on each: a change that no test notices names a missing test, code that can go,
// or an equivalent (a change that nobody can notice).
//
//	go run ./.ci/mutate [-n 40 -seed 1] [-match REGEXP] [-slow REGEXP] ./thresholds
//
// All mutants are compiled into one test binary, and the environment selects which of them
// is in effect, so a mutant costs a run of the tests and no build. The first run, with none
// in effect, must pass and records which mutants the tests execute at all, and how long they take:
// a mutant whose run takes three times as long, and ten seconds more, counts as killed, because one
// that loops for ever would otherwise keep the tests busy. With -slow, the other tests have a limit
// of their own.
//
// The operators are those of gremlins v0.6.0 (comparison boundary and negation, arithmetic,
// increments, signs) and its optional one for && and ||. Further ones negate a condition that
// is no comparison, and leave out a call whose result nobody uses. gremlins is not used for two
// reasons: it builds every mutant, and it takes every condition of a case clause for not
// covered, because such a condition lies in no block of Go's coverage profile (93 of 534
// mutants of thresholds).
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	var o options
	flag.IntVar(&o.sample, "n", 0, "try this many mutants, drawn by -seed (0: all)")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the draw")
	flag.StringVar(&o.match, "match", "", "only mutants whose line in the output matches, as in -match '^judge.go:'")
	flag.IntVar(&o.workers, "workers", 1, "mutants that are tried at the same time")
	flag.StringVar(&o.slow, "slow", "", "tests that are tried only on mutants that survive all others")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: go run ./.ci/mutate [flags] PACKAGE")
		os.Exit(2)
	}
	if err := o.mutate(flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

type options struct {
	sample, workers int
	seed            uint64
	match, slow     string
}

// Results of one mutant. One that exceeds the time limit counts as killed: CI would not have passed.
const (
	killed     = "killed"
	timedOut   = "timed out"
	lived      = "lived"
	notCovered = "not covered"
)

func (o options) mutate(pattern string) error {
	match, err := regexp.Compile(o.match)
	if err != nil {
		return err
	}
	p, err := load(pattern)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	mutants, overlay, err := p.instrument(scratch)
	if err != nil {
		return err
	}
	binary := filepath.Join(scratch, "test.bin")
	build := exec.Command("go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", binary, p.ImportPath)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build with mutants: %w\n%s", err, out)
	}
	r := runner{binary: binary, dir: p.Dir, stages: o.stages()}
	reached := filepath.Join(scratch, "reached")
	if err := r.unchanged(reached, max(1, o.workers)); err != nil {
		return err
	}
	covered, err := readReached(reached)
	if err != nil {
		return err
	}
	mutants = slices.DeleteFunc(mutants, func(m mutant) bool { return !match.MatchString(m.String()) })
	if o.sample > 0 && o.sample < len(mutants) {
		rng := rand.New(rand.NewPCG(o.seed, 0))
		rng.Shuffle(len(mutants), func(i, j int) { mutants[i], mutants[j] = mutants[j], mutants[i] })
		mutants = mutants[:o.sample]
		slices.SortFunc(mutants, func(a, b mutant) int { return a.id - b.id })
	}
	results := map[string]int{}
	var mu sync.Mutex
	work := make(chan mutant)
	var wg sync.WaitGroup
	for range max(1, o.workers) {
		wg.Go(func() {
			for m := range work {
				result := notCovered
				if covered[m.id] {
					result = r.fate(m.id)
				}
				mu.Lock()
				results[result]++
				if result != killed {
					fmt.Printf("%-11s %s\n", result, m)
				}
				mu.Unlock()
			}
		})
	}
	for _, m := range mutants {
		work <- m
	}
	close(work)
	wg.Wait()
	dead := results[killed] + results[timedOut]
	fmt.Printf("%s: %d mutants, %d killed (%d of them at the time limit), %d lived, %d not covered: %.1f%% killed\n", p.ImportPath, len(mutants), dead,
		results[timedOut], results[lived], results[notCovered], 100*float64(dead)/float64(max(1, len(mutants))))
	return nil
}

// stage is a part of the tests. A mutant that survives one is tried by the next.
type stage struct {
	args  []string
	limit time.Duration
}

func (o options) stages() []stage {
	if o.slow == "" {
		return []stage{{}}
	}
	return []stage{{args: []string{"-test.skip=" + o.slow}}, {args: []string{"-test.run=" + o.slow}}}
}

// runner runs the test binary in the folder of its package.
type runner struct {
	binary, dir string
	stages      []stage
}

// unchanged runs the tests without a mutant, and sets the limits of later runs, of which so many
// run at the same time.
func (r *runner) unchanged(reached string, workers int) error {
	for i := range r.stages {
		s := &r.stages[i]
		s.limit = 10 * time.Minute
		began := time.Now()
		if out, result := r.try(*s, 0, "MUTATE_REACHED="+reached); result != lived {
			return fmt.Errorf("the tests do not pass without a mutant (%s):\n%s", result, out)
		}
		took := time.Since(began)
		s.limit = time.Duration(workers)*3*took + 10*time.Second
		tests := strings.Join(append([]string{"unchanged tests"}, s.args...), " ")
		fmt.Printf("%s: %.1f s, so a mutant has %.0f s\n", tests, took.Seconds(), s.limit.Seconds())
	}
	return nil
}

// fate of a mutant that the tests execute.
func (r *runner) fate(id int) string {
	for _, s := range r.stages {
		if _, result := r.try(s, id); result != lived {
			return result
		}
	}
	return lived
}

func (r *runner) try(s stage, id int, env ...string) (output []byte, result string) {
	ctx, cancel := context.WithTimeout(context.Background(), s.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.binary, append([]string{"-test.failfast", "-test.count=1"}, s.args...)...)
	cmd.Dir, cmd.WaitDelay = r.dir, time.Second
	cmd.Env = append(os.Environ(), append(env, "MUTATE_ID="+strconv.Itoa(id))...)
	out, err := cmd.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return out, timedOut
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return out, killed
	}
	return out, lived
}

// readReached reads the numbers of the mutants that were executed, one to a line.
func readReached(path string) (map[int]bool, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("no mutant is executed by the tests: %w", err)
	}
	all := map[int]bool{}
	for line := range bytes.Lines(data) {
		if id, err := strconv.Atoi(string(bytes.TrimSpace(line))); err == nil {
			all[id] = true
		}
	}
	return all, nil
}

// instrument writes the package's files with all mutants into scratch, and an overlay file
// that makes the go command compile them in place of the originals.
func (p *pkg) instrument(scratch string) ([]mutant, string, error) {
	var all []mutant
	replace := map[string]string{}
	for i, f := range p.files {
		name := p.fset.File(f.Pos()).Name()
		text, found, err := p.rewrite(f, name, len(all))
		if err != nil {
			return nil, "", err
		}
		all = append(all, found...)
		to := filepath.Join(scratch, strconv.Itoa(i)+".go")
		if err := os.WriteFile(to, text, 0o600); err != nil {
			return nil, "", err
		}
		replace[name] = to
	}
	if len(all) == 0 {
		return nil, "", errors.New("there is nothing to change")
	}
	last := 0
	for _, m := range all {
		last = max(last, m.id)
	}
	support := filepath.Join(scratch, "support.go")
	if err := os.WriteFile(support, []byte(strings.NewReplacer("PACKAGE", p.Name, "LAST", strconv.Itoa(last)).Replace(supportText)), 0o600); err != nil {
		return nil, "", err
	}
	replace[filepath.Join(p.Dir, "mutate_support.go")] = support
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, "", err
	}
	overlay := filepath.Join(scratch, "overlay.json")
	return all, overlay, os.WriteFile(overlay, data, 0o600)
}
