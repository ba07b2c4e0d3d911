package selftest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"
	"gonum.org/v1/gonum/stat"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/compare"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/revisions"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/harness/machine"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/thresholds"
)

// subject is a module whose benchmarks are compared with changed copies of themselves.
type subject struct {
	module   string // PATH@VERSION, or a folder
	packages []string
	bench    string
}

// subjects lists modules of other authors, with benchmarks that keep one processor busy, take at
// most about 50 µs per operation, and loop over b.N.
var subjects = []subject{
	{"github.com/BurntSushi/toml@v1.5.0", []string{"."}, "^Example$|^Key$|^Escapes$"},
	{"github.com/tidwall/gjson@v1.18.0", []string{"."}, "^Valid"},
	{"github.com/google/go-cmp@v0.7.0", []string{"./cmp/internal/diff"}, "^Difference$/^N(1024|4096)$"},
	{"github.com/cespare/xxhash/v2@v2.3.0", []string{"."}, "^(Sum64|DigestBytes)$/^(16B|100B|4KB)$"},
	{"github.com/buger/jsonparser@v1.1.1", []string{"."}, "^EqualStr$|^ParseInt"},
}

// compareErrors measures how often the compare command errs.
type compareErrors struct {
	rows     []string
	modules  []string
	judge    string
	rules    bool
	markdown bool     // print tables in Markdown
	from     []string // read the verdicts from these files and make none
	n        int
	burners  []int
	budget   time.Duration // for everything; 0 means no limit
	seed     uint64

	progress *cli.Progress
	raw      io.Writer // may be nil
	kinds    []*compared
	counts   map[string][]float64 // instructions of the unchanged program, by benchmark and process
	sums     []string             // the modules with their checksums
}

// compared holds the verdicts on one change.
type compared struct {
	injection
	burners              int
	count                map[thresholds.Outcome]int
	seconds, change      []float64
	benchstat, threshold int
	ruled                int
	other                string // reason of the first verdict that is neither held nor broken
	rounded              int    // verdicts left out because the change was rounded to another size
	firstRounded         string // the first of them
}

func (k *compared) n() (n int) {
	for _, c := range k.count {
		n += c
	}
	return n
}

func (c *compareErrors) run(cmd *cobra.Command) (err error) {
	ctx := cmd.Context()
	c.counts = map[string][]float64{}
	if len(c.from) > 0 {
		if err := c.recorded(c.from); err != nil {
			return err
		}
		return c.show(cmd.OutOrStdout())
	}
	var injections []injection
	for _, text := range c.rows {
		i, err := parseInjection(text)
		if err != nil {
			return cli.Usage(err)
		}
		injections = append(injections, i)
	}
	if c.n < 1 || slices.Min(c.burners) < 0 || len(injections) == 0 {
		return cli.Usage(errors.New("--n is 1 or more, --burners 0 or more, and there is at least one --row"))
	}
	of := subjects
	if len(c.modules) > 0 {
		of = nil
		for _, m := range c.modules {
			s := subject{m, []string{"./..."}, "."}
			if i := slices.IndexFunc(subjects, func(s subject) bool { return s.module == m }); i >= 0 {
				s = subjects[i]
			}
			of = append(of, s)
		}
	}
	tmp, remove, err := workdir.Temporary(os.TempDir(), revisions.TreesPrefix)
	if err != nil {
		return cli.Fault(err)
	}
	defer func() { err = errors.Join(err, remove()) }()
	c.progress = cli.NewProgress(cmd.ErrOrStderr())
	defer c.progress.End()
	var all []*copied
	for n, s := range of {
		c.progress.Set("copying "+s.module, "")
		one, err := copyModule(ctx, s, filepath.Join(tmp, fmt.Sprint(n)))
		if err != nil {
			return cli.Usage(fmt.Errorf("--module %s: %w", s.module, err))
		}
		all, c.sums = append(all, one), append(c.sums, one.sum)
	}
	within, cancel := bounded(ctx, c.budget)
	defer cancel()
	for _, burners := range c.burners {
		var kinds []*compared
		for _, i := range injections {
			kinds = append(kinds, &compared{injection: i, burners: burners, count: map[thresholds.Outcome]int{}})
		}
		c.kinds = append(c.kinds, kinds...)
		if err := c.measure(within, all, kinds); err != nil {
			c.progress.End()
			return errors.Join(err, c.show(cmd.OutOrStdout()))
		}
	}
	c.progress.End()
	if err := c.show(cmd.OutOrStdout()); err != nil {
		return cli.Fault(err)
	}
	if ctx.Err() != nil {
		return &cli.ExitError{Code: cli.ExitInterrupted, Err: errors.New("interrupted: the table has what was judged before")}
	}
	return nil
}

// measure makes n verdicts on each benchmark and change. It alternates between them, so that
// other activity of the machine affects all of them equally.
func (c *compareErrors) measure(ctx context.Context, of []*copied, kinds []*compared) error {
	stop, err := burn(kinds[0].burners)
	if err != nil {
		return cli.Fault(err)
	}
	defer stop()
	for n := range c.n {
		for _, m := range of {
			for _, k := range kinds {
				if ctx.Err() != nil {
					return nil
				}
				c.progress.Set(fmt.Sprintf("comparing %s, %v, with %d burners", m.module, k, k.burners), fmt.Sprintf("%d of %d", n, c.n))
				c.seed++
				if err := c.verdicts(ctx, m, k); err != nil && ctx.Err() == nil {
					return cli.AsFault(fmt.Errorf("%s, %v: %w", m.module, k, err))
				}
			}
		}
	}
	return nil
}

// eachBudget is the maximum time for each benchmark of a comparison. A verdict takes a few
// seconds on an idle machine, and minutes next to thirty busy processes.
const eachBudget = 5 * time.Minute

// verdicts compares one module with a changed copy.
func (c *compareErrors) verdicts(ctx context.Context, m *copied, k *compared) (err error) {
	longer, err := m.sources.change(k.injection, c.seed)
	if err != nil {
		return err
	}
	if k.slower > 0 && len(longer) == 0 {
		return errors.New("no benchmark has a loop that can be made longer: for i := 0; i < b.N; i++")
	}
	tmp, remove, err := workdir.Temporary(m.dir, revisions.TreesPrefix)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	var failed error
	o := compare.Options{Packages: m.packages, Bench: m.bench, Margin: k.margin, Judge: c.judge, Budget: eachBudget * time.Duration(max(1, m.benchmarks)), Seed: c.seed}
	found := 0
	o.Each = func(got compare.Measured) {
		if ctx.Err() != nil {
			return
		}
		found++
		failed = errors.Join(failed, c.take(ctx, k, got))
	}
	result, _, err := compare.Benchmarks(ctx, m.project, tmp, m.sides, o, cli.NewProgress(io.Discard))
	if m.benchmarks = found; err == nil && ctx.Err() == nil && found == 0 {
		err = fmt.Errorf("nothing was measured: %d packages are identical, %d not built, %d benchmarks gone", len(result.Identical), len(result.NotBuilt), len(result.Gone))
	}
	return errors.Join(err, failed)
}

// take adds a verdict, and applies the rules of other tools to the same binaries.
func (c *compareErrors) take(ctx context.Context, k *compared, m compare.Measured) error {
	d, v := m.Difference, m.Verdict
	row := compareRow{Change: k.String(), Margin: k.margin, Burners: k.burners, Benchmark: d.Name, Outcome: v.Outcome.String(), By: v.By, Reason: v.Reason, Seconds: d.Seconds, Time: d.Ratio.Value, Blocks: len(d.Blocks), Difference: d}
	if v.Ratio != nil {
		row.Time = v.Ratio.Value
	}
	if k.slower > 0 {
		row.Injected = injected(d, v.By, k.slower)
	}
	if i := d.Instructions; i != nil && len(i.Base) > 0 && len(i.Head) > 0 {
		ratio := machine.Median(i.Head) / machine.Median(i.Base)
		row.Instructions, row.Base = &ratio, i.Base
	}
	if c.rules && d.HeadFails == "" && d.NotCompared == "" {
		samples, err := inARow(ctx, m, time.Duration(d.Seconds*float64(time.Second)))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("apply the rules of others to %s: %w", d.Name, err)
		}
		benchstat, threshold := alarms(samples, k.margin/100)
		row.BenchstatAlarm, row.ThresholdAlarm = &benchstat, &threshold
	}
	c.add(k, row, v.Outcome)
	if c.raw == nil {
		return nil
	}
	return json.NewEncoder(c.raw).Encode(row)
}

// rulesSamples is the number of samples of each side that the rules of other tools use.
const rulesSamples = 10

// inARow measures in the usual way without interleaving: the base ten times, then the head ten
// times, in the time that a verdict took. It returns ns per operation.
func inARow(ctx context.Context, m compare.Measured, whole time.Duration) (samples [2][]float64, err error) {
	each := max(time.Millisecond, whole/(2*rulesSamples))
	for i, side := range []harness.BenchSide{m.Base, m.Head} {
		cmd := exec.CommandContext(ctx, side.Binary, "-test.run=^$", "-test.bench="+m.Pattern, "-test.benchtime="+each.String(), fmt.Sprintf("-test.count=%d", rulesSamples))
		cmd.Dir = side.Dir
		out, err := child.Output(cmd)
		if err != nil {
			return samples, child.Explained(err)
		}
		for r := benchfmt.NewReader(strings.NewReader(string(out)), "benchmark"); r.Scan(); {
			if res, ok := r.Result().(*benchfmt.Result); ok {
				if sec, ok := res.Value("sec/op"); ok {
					samples[i] = append(samples[i], sec*1e9)
				}
			}
		}
		if len(samples[i]) == 0 {
			return samples, fmt.Errorf("%s printed no times", m.Pattern)
		}
	}
	return samples, nil
}

// alarms returns the conclusions of other rules. That of benchstat is an alarm if the head is
// slower (Mann-Whitney, p < .05). That of a threshold on the means is one above sqrt(1+margin),
// the boundary that compare also uses.
func alarms(samples [2][]float64, margin float64) (benchstat, threshold bool) {
	base, head := benchmath.NewSample(samples[0], &benchmath.DefaultThresholds), benchmath.NewSample(samples[1], &benchmath.DefaultThresholds)
	test := benchmath.AssumeNothing.Compare(base, head)
	benchstat = test.P < test.Alpha && machine.Median(samples[1]) > machine.Median(samples[0])
	return benchstat, stat.Mean(samples[1], nil) > stat.Mean(samples[0], nil)*math.Sqrt(1+margin)
}

// copied is a module copied to a repository of its own. The base is the first commit, and changes
// are made in the working tree.
type copied struct {
	subject
	sum        string // path, version and checksum
	dir        string
	project    project.Project
	sides      [2]revisions.Checkout
	sources    *sources
	benchmarks int // number of benchmarks in the newest comparison
}

// copyModule fetches a module and copies it.
func copyModule(ctx context.Context, s subject, to string) (m *copied, err error) {
	m = &copied{subject: s, dir: to, sum: s.module}
	from := s.module
	if strings.Contains(s.module, "@") {
		if err := os.MkdirAll(to, 0o755); err != nil {
			return nil, err
		}
		get := exec.CommandContext(ctx, "go", "mod", "download", "-json", s.module)
		get.Dir = to // outside of any module
		out, err := child.Output(get)
		var got struct{ Dir, Sum, Error string }
		if json.Unmarshal(out, &got) == nil && got.Error != "" {
			err = errors.New(got.Error)
		}
		if err != nil {
			return nil, fmt.Errorf("fetch it: %w", child.Explained(err))
		}
		from, m.sum = got.Dir, s.module+" "+got.Sum
	}
	head := filepath.Join(to, "head")
	if err := copyFolder(from, head); err != nil {
		return nil, err
	}
	list := exec.CommandContext(ctx, "go", append([]string{"list", "-f", "{{.Dir}}\t{{.Name}}", "--"}, s.packages...)...)
	list.Dir = head
	out, err := child.Output(list)
	if err != nil {
		return nil, child.Explained(err)
	}
	packages := map[string]string{}
	for line := range strings.Lines(string(out)) {
		dir, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		packages[dir] = name
	}
	if m.sources, err = readSources(packages); err != nil {
		return nil, err
	}
	if _, err := m.sources.change(injection{}, 0); err != nil {
		return nil, err
	}
	m.project = project.Project{Root: head, Module: true}
	for _, args := range [][]string{{"init", "-q"}, {"add", "--all", "--force"},
		{"-c", "user.name=flujo-harness", "-c", "user.email=selftest@example.com", "-c", "commit.gpgsign=false", "commit", "-q", "--no-verify", "-m", s.module}} {
		if _, err := m.project.Git(ctx, args...); err != nil {
			return nil, err
		}
	}
	if m.sides[0], _, err = revisions.CheckOut(ctx, m.project, "HEAD", filepath.Join(to, "base")); err != nil {
		return nil, err
	}
	m.sides[0].Name, m.sides[1] = "unchanged", revisions.Checkout{Name: "changed", Dir: head}
	return m, nil
}

// copyFolder copies the files of a folder and makes them writable.
func copyFolder(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), text, 0o644)
	})
}

// show prints the tables.
func (c *compareErrors) show(to io.Writer) error {
	if len(c.sums) > 0 { // empty for verdicts that were read from files
		fmt.Fprintf(to, "judged by %s, on\n", cmp.Or(c.judge, "counts, time and instructions"))
	}
	for _, sum := range c.sums {
		fmt.Fprintf(to, "  %s\n", sum)
	}
	if c.markdown {
		fmt.Fprintln(to)
	}
	table := rows{{"change", "margin", "busy processes", "n", "broken", "held", "inconclusive", "invalid", "instructions, median", "seconds: median, p95", "benchstat alarms", "threshold alarms"}}
	for _, k := range c.kinds {
		counted, benchstat, threshold, seconds := "not counted", "", "", ""
		if len(k.change) > 0 {
			counted = fmt.Sprintf("%+.2f%% (n=%d)", 100*(machine.Median(k.change)-1), len(k.change))
		}
		if k.ruled > 0 {
			benchstat, threshold = fmt.Sprintf("%d of %d", k.benchstat, k.ruled), fmt.Sprintf("%d of %d", k.threshold, k.ruled)
		}
		if k.n() > 0 {
			seconds = fmt.Sprintf("%.1f, %.1f", quantile(k.seconds, 0.5), quantile(k.seconds, 0.95))
		}
		table.add(k.String(), fmt.Sprintf("%.3g%%", k.margin), fmt.Sprint(k.burners), fmt.Sprint(k.n()), fmt.Sprint(k.count[thresholds.Broken]), fmt.Sprint(k.count[thresholds.Held]),
			fmt.Sprint(k.count[thresholds.Inconclusive]), fmt.Sprint(k.count[thresholds.Invalid]), counted, seconds, benchstat, threshold)
	}
	if err := table.write(to, c.markdown); err != nil {
		return err
	}
	if c.markdown {
		fmt.Fprintln(to)
	}
	for _, k := range c.kinds {
		if k.other != "" {
			fmt.Fprintf(to, "neither held nor broken (%v, margin %.3g%%), the first: %s\n", k, k.margin, k.other)
		}
	}
	for _, k := range c.kinds {
		if k.rounded > 0 {
			fmt.Fprintf(to, "verdicts left out (%v, margin %.3g%%), because so few operations change by another share: %d, the first: %s\n", k, k.margin, k.rounded, k.firstRounded)
		}
	}
	return c.showSpreads(to)
}

// showSpreads prints how much the instructions of the unchanged benchmarks vary, and for how many
// benchmarks the variation is below each margin.
func (c *compareErrors) showSpreads(to io.Writer) error {
	if len(c.counts) == 0 {
		return nil
	}
	margins := []float64{1, 2, 5}
	allowed := make([]int, len(margins))
	table := rows{{"unchanged benchmark", "instructions of an operation", "from the 5th to the 95th percentile", "counts"}}
	var names []string
	for name, v := range c.counts {
		if len(v) == 0 { // from a file of an older version
			continue
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	for _, name := range names {
		v := c.counts[name]
		spread := 100 * (quantile(v, 0.95) - quantile(v, 0.05)) / machine.Median(v)
		for i, m := range margins {
			if spread <= m {
				allowed[i]++
			}
		}
		table.add(name, fmt.Sprintf("%.6g", machine.Median(v)), fmt.Sprintf("%.2f%%", spread), fmt.Sprint(len(v)))
	}
	fmt.Fprintln(to)
	if err := table.write(to, c.markdown); err != nil {
		return err
	}
	if c.markdown {
		fmt.Fprintln(to)
	}
	for i, m := range margins {
		fmt.Fprintf(to, "%d of %d benchmarks vary by no more than %.3g%%\n", allowed[i], len(names), m)
	}
	return nil
}
