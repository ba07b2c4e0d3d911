package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/child"
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
own, which are removed at the end. A package is held without a measurement only where its
test binaries and all files of its folder are the same at both. A benchmark that is gone or
has another name is inconclusive: its cost was not looked at.`,
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
	Identical   []string              `json:"identical,omitempty"` // packages with the same binary at both
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
	targets, err := c.build(ctx, tmp, sides, pattern, &result)
	if err != nil {
		return err
	}
	if len(targets)+len(result.Identical)+len(result.New)+len(result.Gone) == 0 {
		return usage(fmt.Errorf("no benchmark of %s matches %q", c.packages, c.bench))
	}
	c.measure(ctx, targets, &result, progress)
	progress.end()
	worst := thresholds.Held
	if len(targets)+len(result.Identical) == 0 || len(result.Gone) > 0 {
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

// treesPrefix begins the names of the folders that revisions are checked out in.
const treesPrefix = "flujo-harness-compare-"

// forgetTrees removes the work trees from the repository whose folder is gone: those of a
// killed comparison, see [harness.Temporary]. Others that are missing may be on a disk that
// is not mounted.
func (p project) forgetTrees(ctx context.Context) error {
	all, err := p.git(ctx, "worktree", "list", "--porcelain")
	if err != nil {
		return nil // there is no repository: checkOut says so
	}
	for line := range strings.Lines(all) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "worktree ")
		if !ok || !strings.HasPrefix(filepath.Base(filepath.Dir(path)), treesPrefix) {
			continue
		}
		if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
			if _, err := p.git(context.WithoutCancel(ctx), "worktree", "remove", "--force", "--force", path); err != nil {
				return fmt.Errorf("remove the work tree that a killed comparison left: %w", err)
			}
		}
	}
	return nil
}

// checkout is a revision in a folder.
type checkout struct {
	name string
	of   revision // zero: the working tree
	dir  string   // of the module
}

// checkOut checks a revision out in a work tree of its own.
func (p project) checkOut(ctx context.Context, asked, to string) (c checkout, remove func() error, err error) {
	of, err := p.commitOf(ctx, asked)
	if err != nil {
		return c, nil, fmt.Errorf("compare revisions: %w", err)
	}
	within, err := p.git(ctx, "rev-parse", "--show-prefix")
	if err != nil {
		return c, nil, fmt.Errorf("compare revisions: %w", err)
	}
	ctx = context.WithoutCancel(ctx) // a killed git would leave its entry in the repository
	if _, err := p.git(ctx, "worktree", "add", "--quiet", "--detach", to, of.commit); err != nil {
		return c, nil, err
	}
	remove = func() error {
		_, err := p.git(ctx, "worktree", "remove", "--force", to)
		return err
	}
	c = checkout{name: asked, of: of, dir: filepath.Join(to, filepath.FromSlash(within))}
	if _, err := os.Stat(filepath.Join(c.dir, "go.mod")); err != nil {
		return c, nil, errors.Join(fmt.Errorf("revision %q has no go.mod at %s", asked, filepath.Join(within, "go.mod")), remove())
	}
	return c, remove, nil
}

// isBenchmark matches the functions that go test takes for benchmarks.
var isBenchmark = regexp.MustCompile(`(?m)^func Benchmark([^a-z\s(]\w*)?\(`)

// packages with benchmarks: import path -> folder.
func (c *comparing) packagesOf(ctx context.Context, side checkout) (map[string]string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-e", "-f", `{{.ImportPath}}{{"\t"}}{{.Dir}}{{range .TestGoFiles}}{{"\t"}}{{.}}{{end}}{{range .XTestGoFiles}}{{"\t"}}{{.}}{{end}}`, "--", c.packages)
	cmd.Dir = side.dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := child.Output(cmd)
	if err != nil {
		return nil, fmt.Errorf("list the packages at %s: %w: %s", side.name, err, strings.TrimSpace(stderr.String()))
	}
	found := map[string]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		for _, file := range fields[min(2, len(fields)):] {
			if text, err := os.ReadFile(filepath.Join(fields[1], file)); err == nil && isBenchmark.Match(text) {
				found[fields[0]] = fields[1]
			}
		}
	}
	return found, nil
}

// build builds the test binaries and lists what there is to compare.
func (c *comparing) build(ctx context.Context, tmp string, sides [2]checkout, pattern *regexp.Regexp, result *revisionsCompared) ([]*target, error) {
	var dirs [2]map[string]string
	for i := range sides {
		var err error
		if dirs[i], err = c.packagesOf(ctx, sides[i]); err != nil {
			return nil, usage(err)
		}
	}
	all := maps.Clone(dirs[0])
	maps.Copy(all, dirs[1])
	var targets []*target
	for n, pkg := range slices.Sorted(maps.Keys(all)) {
		var names [2][]string
		var binaries [2]string
		for i := range sides {
			if dirs[i][pkg] == "" {
				continue
			}
			binaries[i] = filepath.Join(tmp, fmt.Sprintf("%d-%d.test", n, i))
			build := exec.CommandContext(ctx, "go", "test", "-c", "-trimpath", "-buildvcs=false", "-o", binaries[i], pkg)
			build.Dir = sides[i].dir
			if said, err := child.CombinedOutput(build); err != nil {
				what := firstLines(string(said), 10)
				if strings.Contains(what, "replacement directory") || strings.Contains(what, "(replaced by ") {
					what += "\na checkout has nothing from outside of the repository, and no submodules: name an absolute folder behind replace in go.mod, at both revisions"
				}
				return nil, fault(fmt.Errorf("build the tests of %s at %s: %w:\n%s", pkg, sides[i].name, err, what))
			}
			list := exec.CommandContext(ctx, binaries[i], "-test.list=^Benchmark")
			list.Dir = dirs[i][pkg]
			said, err := child.Output(list)
			if err != nil {
				return nil, fault(fmt.Errorf("list the benchmarks of %s at %s: %w", pkg, sides[i].name, err))
			}
			for name := range strings.Lines(string(said)) {
				if name = strings.TrimSpace(name); strings.HasPrefix(name, "Benchmark") && pattern.MatchString(strings.TrimPrefix(name, "Benchmark")) {
					names[i] = append(names[i], name)
				}
			}
		}
		one := func(i int) (only []string) {
			for _, name := range names[i] {
				if !slices.Contains(names[1-i], name) {
					only = append(only, pkg+"."+name)
				}
			}
			return only
		}
		result.Gone, result.New = append(result.Gone, one(0)...), append(result.New, one(1)...)
		both := slices.DeleteFunc(slices.Clone(names[0]), func(name string) bool { return !slices.Contains(names[1], name) })
		if len(both) == 0 {
			continue
		}
		same, err := equalFiles(binaries[0], binaries[1])
		if err == nil && same {
			same, err = equalFolders(dirs[0][pkg], dirs[1][pkg])
		}
		if err != nil {
			return nil, fault(err)
		}
		if same {
			result.Identical = append(result.Identical, pkg)
			continue
		}
		twin := binaries[0] + ".twin"
		data, err := os.ReadFile(binaries[0])
		if err == nil {
			err = os.WriteFile(twin, data, 0o700)
		}
		if err != nil {
			return nil, fault(err)
		}
		for _, name := range both {
			targets = append(targets, &target{pkg: pkg, name: name, spec: harness.BenchSpec{
				Package: pkg, Benchmark: name, Twin: twin, Time: 50 * time.Millisecond, Seed: c.seed + uint64(len(targets)), Blocks: 96,
				Base: harness.BenchSide{Revision: sides[0].name, Binary: binaries[0], Dir: dirs[0][pkg]},
				Head: harness.BenchSide{Revision: sides[1].name, Binary: binaries[1], Dir: dirs[1][pkg]},
			}})
		}
	}
	return targets, nil
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
				if !thresholds.JudgeDifference(d, c.margin/100, len(targets)*len(all)).Decided() {
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
		fmt.Fprintln(table, "verdict\tbenchmark\tbase\thead\thead/base (95%, n)")
		for i, d := range r.Differences {
			figures := "\t\t"
			if len(d.Blocks) > 0 {
				figures = fmt.Sprintf("%s\t%s\t%.4g (%.4g to %.4g, n=%d %s)", micros(d.BaseNS.Value/1e3), micros(d.HeadNS.Value/1e3), d.Ratio.Value, d.Ratio.Low, d.Ratio.High, d.Ratio.N, d.Ratio.Of)
			}
			fmt.Fprintf(table, "%s\t%s\t%s\n", strings.ToUpper(r.Verdicts[i].Outcome.String()), d.Name, figures)
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
	}{{"new, not judged", r.New}, {"gone or renamed, so inconclusive", r.Gone}} {
		if len(l.names) > 0 {
			fmt.Fprintf(to, "%s: %s\n", l.what, strings.Join(l.names, ", "))
		}
	}
	return nil
}

func equalFiles(a, b string) (bool, error) {
	x, err := os.ReadFile(a)
	if err != nil {
		return false, err
	}
	y, err := os.ReadFile(b)
	return bytes.Equal(x, y), err
}

// equalFolders reports whether two folders of a package have the same files with the same
// content: those that its benchmarks may read. The folders of git and of this program
// are left out.
func equalFolders(a, b string) (bool, error) {
	var found [2]map[string][sha256.Size]byte
	for i, dir := range []string{a, b} {
		found[i] = map[string][sha256.Size]byte{}
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case path != dir && d.IsDir() && (d.Name() == ".git" || d.Name() == ".flujo"):
				return fs.SkipDir
			case d.IsDir() || d.Name() == ".git":
				return nil
			}
			name, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			text := []byte(d.Type().String()) // of what is no file, and must not be opened
			switch {
			case d.Type()&fs.ModeSymlink != 0:
				var to string
				to, err = os.Readlink(path)
				text = append(text, to...)
			case d.Type().IsRegular():
				text, err = os.ReadFile(path)
			}
			found[i][name] = sha256.Sum256(text)
			return err
		})
		if err != nil {
			return false, err
		}
	}
	return maps.Equal(found[0], found[1]), nil
}

func firstLines(text string, n int) string {
	lines := strings.SplitAfterN(text, "\n", n+1)
	return strings.TrimSpace(strings.Join(lines[:min(n, len(lines))], ""))
}
