package compare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/bisect"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/publish"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/revisions"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/harness/instructions"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/thresholds"
)

// comparing is the state of one compare command.
type comparing struct {
	packages  []string
	bench     string
	skip      string
	benchtime string
	cpu       string
	tags      string
	count     int
	which     string  // "both" or "head"
	margin    float64 // percent
	judge     string
	lower     []string
	higher    []string
	profiles  string
	bisect    bool
	db        string
	out       cli.Results
	budget    time.Duration
	seed      uint64
	strict    bool
	comment   publish.Comment

	selected []selection
	each     func(Measured) // called with each judged benchmark; may be nil
	ops      int            // operations of a process; 0 means to derive them from time
	time     time.Duration  // duration of a process; 0 means the default
	procs    []int
}

// Command returns the compare command.
func Command() *cobra.Command {
	var c comparing
	cmd := &cobra.Command{
		Use: "compare BASE [HEAD]", Args: cobra.RangeArgs(1, 2),
		Short: "Compare the Go benchmarks of two revisions in one job",
		Long: `Builds the test binaries of both revisions and runs their Go benchmarks, each in a process of
its own, with the base once more as the A/A pair. Judges whether HEAD, by default the working tree,
is slower than BASE by the margin. Works in any Go module with Benchmark functions. Revisions are
checked out in folders of their own, which are removed at the end.

These figures decide, in this order. First counts: objects allocated (allocs/op) and the units of
--lower and --higher, exactly if they do not vary, and bytes (B/op) by the margin. Then the time of
an operation. If the time is undecided, the instructions that an operation executes: perf or
valgrind counts them, and they do not depend on what else the machine does. If time and
instructions contradict each other, the verdict is inconclusive and shows both; --judge selects
one. A slow-down that only the time shows is measured again with the functions of the binaries in
other orders, and so are times that hold where no instructions decide.

On Linux, the processes of both revisions run at the same time on one processor, so that other
programs slow them down alike, and the time of an operation is their processor time. Benchmarks that
wait or use several processors run one after the other. The linker aligns functions to 64 bytes, if
it is of Go 1.25 or newer, because a function that moves within them can become slower or faster.

A slow-down of the margin or more is detected, and one of up to half the margin passes. In between
either verdict is possible.

A package is held without a measurement only if its test binaries and all files of its folder are
the same at both revisions, and no data file of the module has changed. A benchmark is inconclusive
if it was removed or renamed, or if it is skipped, hangs or fails at BASE, or if BASE does not
build. A benchmark that fails or hangs only at HEAD is broken.

The verdicts and the figures of HEAD are kept in the history of the module. The page of
flujo-harness report draws them over the commits.`,
		Example: `  flujo-harness compare main
  flujo-harness compare v1.2.0 HEAD --pkg ./codec --bench Encode/large --margin 2
  flujo-harness compare main --comment github
  flujo-harness compare v1.2.0 HEAD --bisect
  flujo-harness compare main --benchfmt out.txt && benchstat -col side out.txt`,
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd, args) },
	}
	f := cmd.Flags()
	c.comment.Register(cmd)
	f.StringSliceVar(&c.packages, "pkg", []string{"./..."}, "packages whose benchmarks are compared; may be given several times")
	f.StringVar(&c.bench, "bench", ".", "benchmarks to compare, like go test -bench, with or without \"Benchmark\": Encode/large")
	f.StringVar(&c.skip, "skip", "", "benchmarks to leave out, like go test -skip")
	f.StringVar(&c.benchtime, "benchtime", "", "time or operations (100x) of each process, like go test -benchtime (default 20ms, or 40ms if they run at the same time)")
	f.StringVar(&c.cpu, "cpu", "", "values of GOMAXPROCS to compare at, separated by commas, like go test -cpu (default that of the machine, or 1 for benchmarks that take as long with it)")
	f.StringVar(&c.tags, "tags", "", "build tags, separated by commas")
	f.IntVar(&c.count, "count", 0, "maximum number of processes of each revision, for each benchmark; 0: as many as are needed")
	f.StringVar(&c.which, "benchmarks", "both", `"both": benchmarks that both revisions have; "head": benchmarks of HEAD, also on the code of BASE if they compile there`)
	f.Float64Var(&c.margin, "margin", 5, "slow-down to detect, in percent; up to half of it passes")
	f.StringVar(&c.judge, "judge", "", `judge only by "time", "instructions" or "counts"`)
	f.StringSliceVar(&c.lower, "lower", nil, "unit of b.ReportMetric to judge, for which less is better, such as fsyncs/op")
	f.StringSliceVar(&c.higher, "higher", nil, "unit of b.ReportMetric to judge, for which more is better")
	f.StringVar(&c.profiles, "profiles", "", "folder for CPU profiles of broken benchmarks (default: none are kept)")
	f.BoolVar(&c.bisect, "bisect", false, "find the commit between BASE and HEAD that made a broken benchmark slower")
	f.StringVar(&c.db, "db", "", "history database that keeps the verdicts and the figures of HEAD (default .flujo/history.db of the module)")
	f.StringVar(&c.out.JSON, "json", "", `write the differences and verdicts to this file ("-": standard output; .gz: compressed)`)
	f.StringVar(&c.out.Benchfmt, "benchfmt", "", `write every sample in the Go benchmark format to this file ("-": standard output): benchstat -col side FILE`)
	f.DurationVar(&c.budget, "time", 2*time.Minute, "time limit for all measurements together, without building")
	f.Uint64Var(&c.seed, "seed", 0, "seed of the order of the processes (default a random one)")
	f.BoolVar(&c.strict, "strict", false, "exit with 4 if a verdict is inconclusive")
	return cmd
}

// check validates the flags.
func (c *comparing) check() (err error) {
	if c.selected, err = selections(c.bench); err != nil {
		return fmt.Errorf("--bench: %w", err)
	}
	if _, err := selections(c.skip); err != nil {
		return fmt.Errorf("--skip: %w", err)
	}
	if !(c.margin > 0 && c.margin <= 100) || c.budget <= 0 || c.count < 0 {
		return errors.New("--margin is a percentage above 0, up to 100, --time above 0 and --count not below it")
	}
	switch c.judge {
	case "", thresholds.ByTime, thresholds.ByInstructions, thresholds.ByCounts:
	default:
		return fmt.Errorf("--judge %q: use time, instructions or counts", c.judge)
	}
	if c.which != "both" && c.which != "head" {
		return fmt.Errorf("--benchmarks %q: use both or head", c.which)
	}
	if n, ok := strings.CutSuffix(c.benchtime, "x"); ok {
		if c.ops, err = strconv.Atoi(n); err != nil || c.ops < 1 {
			return fmt.Errorf("--benchtime %q: use a duration such as 100ms, or a number of operations such as 100x", c.benchtime)
		}
	} else if c.benchtime != "" {
		if c.time, err = time.ParseDuration(c.benchtime); err != nil || c.time <= 0 {
			return fmt.Errorf("--benchtime %q: use a duration such as 100ms, or a number of operations such as 100x", c.benchtime)
		}
	}
	c.procs = []int{0}
	if c.cpu != "" {
		c.procs = nil
		for text := range strings.SplitSeq(c.cpu, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil || n < 1 {
				return fmt.Errorf("--cpu %q: use numbers above 0, with commas", c.cpu)
			}
			c.procs = append(c.procs, n)
		}
	}
	return errors.Join(child.BuildCache(), c.out.Check())
}

// Result is what --json writes.
type Result struct {
	Schema      int                   `json:"schema"` // 1
	Seed        uint64                `json:"seed"`
	Differences []*harness.Difference `json:"differences"`
	Verdicts    []thresholds.Verdict  `json:"verdicts"`
	New         []string              `json:"new,omitempty"`       // benchmarks that only HEAD has
	Gone        []string              `json:"gone,omitempty"`      // benchmarks that only BASE has
	Identical   []string              `json:"identical,omitempty"` // packages whose test binaries and files are the same in both
	NotBuilt    []string              `json:"not_built,omitempty"` // packages that BASE cannot build, with the compiler's message
	Excluded    []string              `json:"excluded,omitempty"`  // packages whose benchmarks are excluded by build constraints
	Profiles    []string              `json:"profiles,omitempty"`  // for each broken benchmark, the functions whose time grew most

	packages []string      // package of each difference
	slower   []slower      // broken benchmarks
	took     time.Duration // 0 means not to print it
}

// target is a benchmark function of a package.
type target struct {
	pkg, name string
	spec      harness.BenchSpec
	build     *packageBuild
	bench     *harness.Benchmarks
	found     []*harness.Difference
}

func (c *comparing) run(cmd *cobra.Command, args []string) (err error) {
	ctx, began := cmd.Context(), time.Now()
	if err := errors.Join(c.check(), c.comment.Check()); err != nil {
		return cli.Usage(err)
	}
	p, err := project.Find()
	if err != nil {
		return cli.Fault(err)
	}
	if !p.Module {
		return cli.Usage(errors.New("there is no go.mod here or above: call compare inside a Go module"))
	}
	tmp, removeTmp, err := workdir.Temporary(os.TempDir(), revisions.TreesPrefix)
	if err != nil {
		return cli.Fault(err)
	}
	defer func() { err = errors.Join(err, removeTmp()) }()
	if err := revisions.ForgetTrees(ctx, p); err != nil {
		return cli.Usage(err)
	}
	progress := cli.NewProgress(cmd.ErrOrStderr())
	defer progress.End()

	var sides [2]revisions.Checkout
	for i := range sides {
		if i == 1 && len(args) == 1 {
			sides[i] = revisions.WorkingTree(ctx, p)
			break
		}
		var remove func() error
		if sides[i], remove, err = revisions.CheckOut(ctx, p, args[i], filepath.Join(tmp, fmt.Sprint("tree", i))); err != nil {
			return cli.Usage(err)
		}
		defer func() { err = errors.Join(err, remove()) }()
	}
	result, worst, err := c.compare(ctx, p, tmp, sides, progress)
	progress.End()
	switch {
	case err != nil:
		return err
	case result.Empty():
		return cli.Usage(fmt.Errorf("no benchmark of %s matches %q", strings.Join(c.packages, " "), c.bench))
	}
	result.took = time.Since(began)
	if err := result.show(c.out.Messages(cmd), sides, c.margin, worst); err != nil {
		return cli.Fault(err)
	}
	command := child.ShellLine(append([]string{"flujo-harness", "compare"}, args...)...)
	if err := errors.Join(c.write(&result, sides, cmd), c.record(ctx, p, command, began, sides, &result, worst)); err != nil {
		return cli.Fault(err)
	}
	for _, line := range c.comment.Post(context.WithoutCancel(ctx), result.content(sides, c.margin, worst, ctx.Err() == nil)) {
		fmt.Fprintln(c.out.Messages(cmd), line)
	}
	if c.bisect {
		if err := c.search(cmd, args, result.slower); err != nil {
			return err
		}
	}
	switch {
	case ctx.Err() != nil:
		return &cli.ExitError{Code: cli.ExitInterrupted}
	case cli.ExitCode(worst, c.strict) != cli.ExitHeld:
		return &cli.ExitError{Code: cli.ExitCode(worst, c.strict)}
	}
	return nil
}

// Empty reports whether there was nothing to compare.
func (r *Result) Empty() bool {
	return len(r.Differences)+len(r.Identical)+len(r.New)+len(r.Gone)+len(r.NotBuilt) == 0
}

// Options are the settings of [Benchmarks]. The zero value of a field means the default of the
// flag.
type Options struct {
	Packages []string
	Bench    string // "" means all
	Margin   float64
	Judge    string
	Budget   time.Duration
	Seed     uint64

	// Each, if not nil, is called with every judged benchmark while its binaries exist. Broken
	// benchmarks are then not profiled.
	Each func(Measured)
}

// Measured is a judged benchmark.
type Measured struct {
	Difference *harness.Difference
	Verdict    thresholds.Verdict
	Base, Head harness.BenchSide
	Pattern    string // -test.bench pattern that matches only this benchmark
}

// Benchmarks compares the benchmarks of two revisions as the command does. tmp is a folder for
// the binaries.
func Benchmarks(ctx context.Context, p project.Project, tmp string, sides [2]revisions.Checkout, o Options, progress *cli.Progress) (Result, thresholds.Outcome, error) {
	c := comparing{packages: o.Packages, bench: cmp.Or(o.Bench, "."), which: "both", margin: o.Margin, judge: o.Judge, budget: o.Budget, seed: o.Seed, each: o.Each}
	if err := c.check(); err != nil {
		return Result{}, thresholds.Inconclusive, cli.Usage(err)
	}
	return c.compare(ctx, p, tmp, sides, progress)
}

// compare builds, measures and judges the benchmarks of both sides. tmp is a folder for the
// binaries.
func (c *comparing) compare(ctx context.Context, p project.Project, tmp string, sides [2]revisions.Checkout, progress *cli.Progress) (result Result, worst thresholds.Outcome, err error) {
	if c.seed == 0 {
		c.seed = uint64(rand.Uint32())
	}
	progress.Set("building the test binaries", "")
	result = Result{Schema: 1, Seed: c.seed}
	targets, err := c.build(ctx, p, tmp, sides, &result)
	if err != nil {
		return result, worst, err
	}
	if c.judge != thresholds.ByTime && c.judge != thresholds.ByCounts {
		counter, err := instructions.Find(ctx)
		if err != nil {
			progress.Say(fmt.Sprintf("judged by time alone: %v", err))
		}
		for _, t := range targets {
			t.spec.Counter = counter
		}
	}
	c.measure(ctx, targets, &result, progress)
	progress.End()
	worst = thresholds.Held
	if len(targets)+len(result.Identical) == 0 || len(result.Gone)+len(result.NotBuilt) > 0 {
		worst = thresholds.Inconclusive // a missing benchmark may have been renamed, and may be slower
	}
	all := 0
	for _, t := range targets {
		all += len(t.bench.Names)
	}
	for _, t := range targets {
		for _, d := range t.found {
			v := c.judging(all).Judge(d)
			if worst = cli.Worse(worst, v.Outcome); v.Outcome == thresholds.Broken && d.HeadFails == "" {
				result.slower = append(result.slower, slower{t.pkg, plainName(strings.TrimPrefix(d.Name, t.pkg+"."), t.spec.Procs)})
			}
			switch profiled := v.Outcome == thresholds.Broken && v.By != thresholds.ByCounts && d.HeadFails == ""; {
			case c.each != nil:
				c.each(Measured{d, v, t.spec.Base, t.spec.Head, harness.BenchPattern(strings.TrimPrefix(d.Name, t.pkg+"."), t.spec.Procs)})
			case profiled && ctx.Err() == nil:
				progress.Set("profiling "+d.Name, "")
				result.Profiles = append(result.Profiles, c.profile(ctx, t, d, tmp))
				progress.End()
			}
			result.Differences, result.Verdicts, result.packages = append(result.Differences, d), append(result.Verdicts, v), append(result.packages, t.pkg)
		}
	}
	return result, worst, nil
}

// slower is a broken benchmark.
type slower struct{ pkg, name string }

// plainName returns the name of a benchmark in the source, "BenchmarkEncode/large", for the name
// that was printed.
func plainName(printed string, procs int) string {
	plain, _, _ := strings.Cut(printed, " (")
	if procs == 0 {
		procs = runtime.GOMAXPROCS(0)
	}
	return "Benchmark" + strings.TrimSuffix(plain, fmt.Sprintf("-%d", procs))
}

// search searches for the commits since which benchmarks are slower. It is not an error of the
// comparison if none is found.
func (c *comparing) search(cmd *cobra.Command, args []string, broken []slower) error {
	bad := "HEAD"
	if len(args) == 2 {
		bad = args[1]
	}
	for _, b := range broken {
		fmt.Fprintf(c.out.Messages(cmd), "%s.%s:\n", b.pkg, b.name)
		err := bisect.Benchmark(cmd, c.out.Messages(cmd), b.name, b.pkg, args[0], bad, c.margin)
		if exit := new(cli.ExitError); err != nil && !(errors.As(err, &exit) && exit.Code == cli.ExitInconclusive) {
			return err
		}
	}
	return nil
}

// judging returns the settings for judging one of family differences.
func (c *comparing) judging(family int) thresholds.Judging {
	return thresholds.Judging{Margin: c.margin / 100, Family: max(1, family), By: c.judge, Lower: c.lower, Higher: c.higher}
}
