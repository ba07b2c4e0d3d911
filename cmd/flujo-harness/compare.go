package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
)

// comparing is one call of compare.
type comparing struct {
	packages string
	bench    string
	margin   float64 // percent
	json     string
	budget   time.Duration
	seed     uint64
	strict   bool
}

func compareCommand() *cobra.Command {
	var c comparing
	cmd := &cobra.Command{
		Use: "compare BASE [HEAD]", Args: cobra.RangeArgs(1, 2),
		Short: "Compare the Go benchmarks of two revisions in one job",
		Long: `Builds the test binaries of both revisions and runs their ordinary Go benchmarks in
turns, each in processes of its own, the base once more as the A/A pair. Judges whether
HEAD, by default the working tree as it is, is slower than BASE by the margin. Works in
any Go module with Benchmark functions. Revisions are checked out in folders of their
own, which are removed at the end. Objects allocated (allocs/op) are judged exactly, bytes
(B/op) by the margin; other figures of the benchmarks are shown.

A package is held without a measurement only where its test binaries and all files of its
folder are the same at both, and no data file of the module has changed. A benchmark that is
gone or has another name, is skipped, or fails at BASE is inconclusive, as is a package that
BASE cannot build; a benchmark that fails at HEAD only has broken.`,
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd, args) },
	}
	cmd.Flags().StringVar(&c.packages, "pkg", "./...", "packages whose benchmarks are compared")
	cmd.Flags().StringVar(&c.bench, "bench", ".", "regular expression of the benchmarks' names, \"Benchmark\" aside")
	cmd.Flags().Float64Var(&c.margin, "margin", 5, "slow-down that is too much, in percent")
	cmd.Flags().StringVar(&c.json, "json", "", `write the differences and verdicts to this file ("-": standard output; .gz: compressed)`)
	cmd.Flags().DurationVar(&c.budget, "time", 2*time.Minute, "time for all benchmarks together")
	cmd.Flags().Uint64Var(&c.seed, "seed", 0, "seed of the order of the processes (default a random one)")
	cmd.Flags().BoolVar(&c.strict, "strict", false, "exit with 4 where a verdict is inconclusive")
	return cmd
}

// revisionsCompared is what the command writes as JSON.
type revisionsCompared struct {
	Schema      int                   `json:"schema"` // 1
	Seed        uint64                `json:"seed"`
	Differences []*harness.Difference `json:"differences"`
	Verdicts    []thresholds.Verdict  `json:"verdicts"`
	New         []string              `json:"new,omitempty"`       // benchmarks of HEAD only
	Gone        []string              `json:"gone,omitempty"`      // of BASE only
	Identical   []string              `json:"identical,omitempty"` // packages with the same binary and the same files at both
	NotBuilt    []string              `json:"not_built,omitempty"` // packages that BASE cannot build, with what the compiler says
	Excluded    []string              `json:"excluded,omitempty"`  // packages whose benchmarks build constraints leave out
}

// target is one benchmark of one package.
type target struct {
	pkg, name string
	spec      harness.BenchSpec
	found     []*harness.Difference
}

func (c *comparing) run(cmd *cobra.Command, args []string) (err error) {
	ctx := cmd.Context()
	pattern, err := regexp.Compile(c.bench)
	if err != nil {
		return usage(fmt.Errorf("--bench: %w", err))
	}
	if !(c.margin > 0 && c.margin <= 100) || c.budget <= 0 {
		return usage(errors.New("--margin is a percentage above 0, up to 100, and --time above 0"))
	}
	out := resultFlags{json: c.json}
	if err := out.check(); err != nil {
		return err
	}
	p, err := findProject()
	if err != nil {
		return fault(err)
	}
	if !p.module {
		return usage(errors.New("there is no go.mod here or above: call compare inside a Go module"))
	}
	if c.seed == 0 {
		c.seed = uint64(rand.Uint32())
	}
	tmp, removeTmp, err := harness.Temporary(os.TempDir(), treesPrefix)
	if err != nil {
		return fault(err)
	}
	defer func() { err = errors.Join(err, removeTmp()) }()
	if err := p.forgetTrees(ctx); err != nil {
		return usage(err)
	}
	progress := newProgress(cmd.ErrOrStderr())
	defer progress.end()

	var sides [2]checkout
	for i := range sides {
		if i == 1 && len(args) == 1 {
			sides[i] = checkout{name: "working tree", dir: p.root}
			break
		}
		var remove func() error
		if sides[i], remove, err = p.checkOut(ctx, args[i], filepath.Join(tmp, fmt.Sprint("tree", i))); err != nil {
			return usage(err)
		}
		defer func() { err = errors.Join(err, remove()) }()
	}
	progress.set("building the test binaries", "")
	result := revisionsCompared{Schema: 1, Seed: c.seed}
	targets, err := c.build(ctx, p, tmp, sides, pattern, &result)
	if err != nil {
		return err
	}
	if len(targets)+len(result.Identical)+len(result.New)+len(result.Gone) == 0 {
		return usage(fmt.Errorf("no benchmark of %s matches %q", c.packages, c.bench))
	}
	c.measure(ctx, targets, &result, progress)
	progress.end()
	worst := thresholds.Held
	if len(targets)+len(result.Identical) == 0 || len(result.Gone)+len(result.NotBuilt) > 0 {
		worst = thresholds.Inconclusive // nobody knows what became of a benchmark that is gone, or has another name
	}
	for _, t := range targets {
		for _, d := range t.found {
			v := thresholds.JudgeDifference(d, c.margin/100, len(targets)*len(t.found))
			worst = worse(worst, v.Outcome)
			result.Differences, result.Verdicts = append(result.Differences, d), append(result.Verdicts, v)
		}
	}
	if err := result.show(out.talk(cmd), sides, c.margin); err != nil {
		return fault(err)
	}
	if c.json != "" {
		if err := out.writeJSON(result, cmd.OutOrStdout()); err != nil {
			return fault(err)
		}
	}
	switch {
	case ctx.Err() != nil:
		return &exitError{code: exitInterrupted}
	case exitCode(worst, c.strict) != exitHeld:
		return &exitError{code: exitCode(worst, c.strict)}
	}
	return nil
}

// measure measures one benchmark after the other; each may take its share of the time
// that is left.
func (c *comparing) measure(ctx context.Context, targets []*target, result *revisionsCompared, progress *progress) {
	end := time.Now().Add(c.budget)
	for i, t := range targets {
		if ctx.Err() != nil {
			return
		}
		t.spec.Budget = max(time.Millisecond, time.Until(end)/time.Duration(len(targets)-i))
		stage := fmt.Sprintf("measuring %s.%s, %d of %d", t.pkg, t.name, i+1, len(targets))
		progress.set(stage, "")
		found, only, err := harness.CompareBenchmarks(ctx, t.spec, func(all []*harness.Difference) bool {
			progress.set(stage, fmt.Sprintf("%d blocks", len(all[0].Blocks)))
			for _, d := range all {
				// Each benchmark has its share of the chance of a false alarm, and its parts share that.
				if d.NotCompared == "" && !thresholds.JudgeDifference(d, c.margin/100, len(targets)*len(all)).Decided() {
					return false
				}
			}
			return true
		})
		if err != nil {
			found = []*harness.Difference{{Schema: 1, Name: t.pkg + "." + t.name, Problem: err.Error()}}
		}
		t.found = found
		for i, names := range []*[]string{&result.Gone, &result.New} {
			for _, name := range only[i] {
				*names = append(*names, t.pkg+"."+name)
			}
		}
	}
}

// show prints the table.
func (r revisionsCompared) show(to io.Writer, sides [2]checkout, margin float64) error {
	fmt.Fprintf(to, "%s against %s, margin %.3g%%, seed %d\n", sides[1].name, sides[0].name, margin, r.Seed)
	for _, side := range sides {
		if side.of.commit != "" {
			fmt.Fprintf(to, "revision: %s\n", side.of)
		}
	}
	if len(r.Differences) > 0 {
		table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "verdict\tbenchmark\tbase\thead\thead/base (95%, n)\tother figures")
		for i, d := range r.Differences {
			figures := "\t\t"
			if len(d.Blocks) > 0 {
				figures = fmt.Sprintf("%s\t%s\t%.4g (%.4g to %.4g, n=%d %s)", micros(d.BaseNS.Value/1e3), micros(d.HeadNS.Value/1e3), d.Ratio.Value, d.Ratio.Low, d.Ratio.High, d.Ratio.N, d.Ratio.Of)
			}
			var counts []string
			for _, c := range d.Counts {
				counts = append(counts, c.String())
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", strings.ToUpper(r.Verdicts[i].Outcome.String()), d.Name, figures, strings.Join(counts, ", "))
		}
		if err := table.Flush(); err != nil {
			return err
		}
		for _, v := range r.Verdicts {
			if v.Outcome != thresholds.Held {
				fmt.Fprintf(to, "%s\n  %s\n", v.Reason, v.Next)
			}
		}
	}
	for _, pkg := range r.Identical {
		fmt.Fprintf(to, "HELD  %s: the test binaries and the files of the package are identical\n", pkg)
	}
	for _, l := range []struct {
		what  string
		names []string
	}{{"new, not judged", r.New}, {"gone or renamed, so inconclusive", r.Gone}, {"left out by build constraints, not judged", r.Excluded}} {
		if len(l.names) > 0 {
			fmt.Fprintf(to, "%s: %s\n", l.what, strings.Join(l.names, ", "))
		}
	}
	for _, said := range r.NotBuilt {
		fmt.Fprintf(to, "not built, so inconclusive: %s\n", said)
	}
	return nil
}

func firstLines(text string, n int) string {
	lines := strings.SplitAfterN(text, "\n", n+1)
	return strings.TrimSpace(strings.Join(lines[:min(n, len(lines))], ""))
}
