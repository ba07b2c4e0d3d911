// Command mutate changes a package in many small ways, one at a time, and runs the package's
// own tests on each: a change that no test notices names a missing test, code that can go,
// or an equivalent (a change that nobody can notice).
//
//	go run ./.ci/mutate [-n 40 -seed 1] [-match REGEXP] [-slow REGEXP] ./thresholds
//
// All mutants are compiled into one test binary, and the environment selects which of them
// is in effect, so a mutant costs a run of the tests and no build. The first run, with none
// in effect, must pass and records which mutants the tests execute at all.
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

// Results of one mutant. A timeout counts as killed: CI would not have passed.
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
	r := runner{binary: binary, dir: p.Dir, limit: 10 * time.Minute}
	reached := filepath.Join(scratch, "reached")
	began := time.Now()
	if out, result := r.try(0, "MUTATE_REACHED="+reached); result != lived {
		return fmt.Errorf("the tests do not pass without a mutant (%s):\n%s", result, out)
	}
	took := time.Since(began)
	r.limit = 5*took + 30*time.Second
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
					result = o.fate(r, m.id)
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
	fmt.Printf("%s: %d mutants, %d killed (%d by a timeout), %d lived, %d not covered: %.1f%% killed; the tests take %v\n", p.ImportPath, len(mutants), dead,
		results[timedOut], results[lived], results[notCovered], 100*float64(dead)/float64(max(1, len(mutants))), took.Round(100*time.Millisecond))
	return nil
}

// fate of a mutant that the tests execute.
func (o options) fate(r runner, id int) string {
	if o.slow == "" {
		_, result := r.try(id)
		return result
	}
	r.args = []string{"-test.skip=" + o.slow}
	if _, result := r.try(id); result != lived {
		return result
	}
	r.args = []string{"-test.run=" + o.slow}
	_, result := r.try(id)
	return result
}

// runner runs the test binary in the folder of its package.
type runner struct {
	binary, dir string
	args        []string
	limit       time.Duration
}

func (r runner) try(id int, env ...string) (output []byte, result string) {
	ctx, cancel := context.WithTimeout(context.Background(), r.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.binary, append([]string{"-test.failfast", "-test.count=1"}, r.args...)...)
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
