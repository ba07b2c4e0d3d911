package compare

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/perf/benchfmt"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/revisions"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/reports/render"
	"github.com/flujo/flujo-harness/thresholds"
)

// outcomes returns the number of benchmarks with each outcome.
func (r Result) outcomes() map[thresholds.Outcome]int {
	of := map[thresholds.Outcome]int{}
	for i := range r.Verdicts {
		of[r.Verdicts[i].Outcome]++
	}
	return of
}

// headline summarizes the outcomes in words.
func (r Result) headline() string {
	n := r.outcomes()
	all := int64(len(r.Verdicts))
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	of := func(n int) string {
		if int64(n) == all {
			return cli.Plural(all, "benchmark")
		}
		return fmt.Sprintf("%s of %s", cli.Grouped(int64(n)), cli.Plural(all, "benchmark"))
	}
	for _, o := range []struct {
		outcome thresholds.Outcome
		what    string
	}{{thresholds.Broken, "worse"}, {thresholds.Invalid, "not measured correctly"}, {thresholds.Inconclusive, "undecided"}, {thresholds.Held, "not worse"}} {
		if k := n[o.outcome]; k > 0 && len(parts) == 0 {
			add("%s %s", of(k), o.what)
		} else if k > 0 {
			add("%s %s", cli.Grouped(int64(k)), o.what)
		}
	}
	if k := len(r.Identical); k > 0 {
		add("%s identical", cli.Plural(int64(k), "package"))
	}
	if k := len(r.Gone); k > 0 {
		add("%s gone", cli.Grouped(int64(k)))
	}
	if k := len(r.NotBuilt); k > 0 {
		add("%s not built", cli.Plural(int64(k), "package"))
	}
	return strings.Join(parts, ", ")
}

// show prints the verdict and a table of the benchmarks of each package.
func (r Result) show(to io.Writer, sides [2]revisions.Checkout, margin float64, worst thresholds.Outcome) error {
	for _, line := range render.VerdictLines(worst, strings.ToUpper(worst.String()), r.headline(), r.took, cli.NewSummaryScreen(to)) {
		fmt.Fprintln(to, line)
	}
	fmt.Fprintf(to, "\n%s against %s, margin %.3g%%, seed %d\n", sides[1].Name, sides[0].Name, margin, r.Seed)
	for _, side := range sides {
		if said := side.String(); said != side.Name {
			fmt.Fprintf(to, "revision: %s\n", said)
		}
	}
	for i := 0; i < len(r.Differences); {
		n := i
		for n < len(r.packages) && r.packages[n] == r.packages[i] {
			n++
		}
		if err := r.table(to, i, n); err != nil {
			return err
		}
		i = n
	}
	r.oneProcessor(to)
	r.otherOrders(to)
	r.geomeans(to)
	r.reasons(to)
	for _, profile := range r.Profiles {
		fmt.Fprint(to, "\n"+profile)
	}
	if n := len(r.Identical) + len(r.New) + len(r.Gone) + len(r.Excluded) + len(r.NotBuilt); n > 0 && len(r.Differences) > 0 {
		fmt.Fprintln(to)
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

// oneProcessor prints how many benchmarks were timed with another GOMAXPROCS than their names have.
func (r Result) oneProcessor(to io.Writer) {
	n := 0
	for _, d := range r.Differences {
		if d.Procs == 1 {
			n++
		}
	}
	if n > 0 {
		fmt.Fprintf(to, "\ntimed with GOMAXPROCS=1, which changes their time by less than 10%%: %d of %s; --cpu sets another\n", n, cli.Plural(int64(len(r.Differences)), "benchmark"))
	}
}

// otherOrders explains times over layouts.
func (r Result) otherOrders(to io.Writer) {
	if slices.ContainsFunc(r.Verdicts, func(v thresholds.Verdict) bool { return v.Ratio != nil && v.Ratio.Of == "layouts" }) {
		fmt.Fprintln(to, "\nlayouts: the functions of both binaries in other orders, which decide; base and head are of the first order")
	}
}

// reasons prints why benchmarks did not hold, what to do, and the notes on all benchmarks. A text
// that applies to several benchmarks is printed once.
func (r Result) reasons(to io.Writer) {
	var texts []string
	names := map[string][]string{}
	add := func(name, text string) {
		if names[text] == nil {
			texts = append(texts, text)
		}
		names[text] = append(names[text], name)
	}
	for i, v := range r.Verdicts {
		if d := r.Differences[i]; v.Outcome != thresholds.Held {
			reason := strings.TrimPrefix(v.Reason, fmt.Sprintf("%s: %s against %s: ", d.Name, d.Head, d.Base))
			add(d.Name, fmt.Sprintf("%s: %s\n  %s", v.Outcome, reason, v.Next))
		}
	}
	for _, v := range r.Verdicts {
		for _, note := range v.Notes {
			add(v.Workload, "note: "+note)
		}
	}
	for _, text := range texts {
		of := names[text]
		if n := len(of); n > mostNames {
			of = append(of[:mostNames:mostNames], fmt.Sprintf("and %d more", n-mostNames))
		}
		fmt.Fprintf(to, "\n%s\n  %s\n", strings.Join(of, ", "), text)
	}
}

// mostNames is the maximum number of benchmarks listed before a reason.
const mostNames = 3

// timeOf returns the estimate of the times that the verdict is about, or that of the blocks if it has none.
func timeOf(d *harness.Difference, v thresholds.Verdict) harness.Estimate {
	if v.Ratio != nil {
		return *v.Ratio
	}
	return d.Ratio
}

// change formats an estimate as "+1.23% (+1.20 to +1.25, n=5)", or "n=5 layouts", without the interval if
// there is none.
func change(e harness.Estimate) string {
	percent := func(v float64) float64 { return 100 * (v - 1) }
	n := fmt.Sprintf("n=%d", e.N)
	if e.Of == "layouts" {
		n += " layouts"
	}
	if !e.Bounded() {
		return fmt.Sprintf("%+.2f%% (%s)", percent(e.Value), n)
	}
	return fmt.Sprintf("%+.2f%% (%+.2f to %+.2f, %s)", percent(e.Value), percent(e.Low), percent(e.High), n)
}

// geomeans prints the geometric mean of head/base for every unit whose values are all positive.
// It is not judged.
func (r Result) geomeans(to io.Writer) {
	logs := map[string][]float64{}
	add := func(unit string, ratio float64) {
		if ratio > 0 && !math.IsInf(ratio, 0) {
			logs[unit] = append(logs[unit], math.Log(ratio))
		}
	}
	for i, d := range r.Differences {
		if len(d.Blocks) > 0 {
			add("time", timeOf(d, r.Verdicts[i]).Value)
		}
		if e := r.Verdicts[i].Instructions; e != nil {
			add("instructions", e.Value)
		}
		for _, c := range d.Counts {
			add(c.Unit, (c.HeadLow+c.HeadHigh)/(c.BaseLow+c.BaseHigh))
		}
	}
	var all []string
	for _, unit := range slices.Sorted(maps.Keys(logs)) {
		if v := logs[unit]; len(v) > 1 {
			sum := 0.0
			for _, x := range v {
				sum += x
			}
			all = append(all, fmt.Sprintf("%s %+.2f%% (n=%d)", unit, 100*(math.Exp(sum/float64(len(v)))-1), len(v)))
		}
	}
	if len(all) > 0 {
		fmt.Fprintf(to, "\ngeometric means of head/base: %s\n", strings.Join(all, ", "))
	}
}

// write writes the result files that the flags name.
func (c *comparing) write(r *Result, sides [2]revisions.Checkout, cmd *cobra.Command) error {
	if c.out.JSON != "" {
		if err := cli.WriteJSON(c.out.JSON, r, cmd.OutOrStdout()); err != nil {
			return err
		}
	}
	if c.out.Benchfmt == "" {
		return nil
	}
	var text bytes.Buffer
	if err := r.writeBenchmarks(&text, sides); err != nil {
		return fmt.Errorf("write the samples: %w", err)
	}
	if c.out.Benchfmt == "-" {
		_, err := cmd.OutOrStdout().Write(text.Bytes())
		return err
	}
	return os.WriteFile(c.out.Benchfmt, text.Bytes(), 0o644)
}

// writeBenchmarks writes a line for each process, in the format that benchstat -col side reads.
func (r *Result) writeBenchmarks(to io.Writer, sides [2]revisions.Checkout) error {
	out := benchfmt.NewWriter(to)
	for k, d := range r.Differences {
		for _, s := range d.Samples {
			side, i := "base", 0
			if s.Head {
				side, i = "head", 1
			}
			res := &benchfmt.Result{Name: benchfmt.Name(strings.ReplaceAll(s.Name, " ", "_")), Iters: max(1, s.Ops)}
			for _, kv := range [][2]string{{"goos", d.Environment.OS}, {"goarch", d.Environment.Arch}, {"pkg", r.packages[k]}, {"cpu", d.Environment.CPU}, {"side", side}, {"revision", sides[i].Name}} {
				if kv[1] != "" {
					res.Config = append(res.Config, benchfmt.Config{Key: kv[0], Value: []byte(kv[1]), File: true})
				}
			}
			if s.NS > 0 {
				res.Values = append(res.Values, benchfmt.Value{Value: s.NS, Unit: "ns/op"})
			}
			for _, unit := range slices.Sorted(maps.Keys(s.Counts)) {
				res.Values = append(res.Values, benchfmt.Value{Value: s.Counts[unit], Unit: unit})
			}
			if err := out.Write(res); err != nil {
				return err
			}
		}
	}
	return nil
}
