package thresholds

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/machine"
)

// OverheadEntry is the name of the Ginkgo report entry that contains a [Judged].
const OverheadEntry = "flujo-harness overhead"

// Judged is a comparison together with its verdict. Its JSON contains every block, so that the
// verdict can be recomputed.
type Judged struct {
	Comparison *harness.Comparison `json:"comparison"`
	Verdict    Verdict             `json:"verdict"`
}

// Measure measures until the verdict is decided or the plan is completed, and calls progress
// after each session. limits may be nil, as in [Judge].
//
// If the limit is for this class of machine, Measure uses the blocks, warm-ups, rounds and batch
// sizes of its calibration, because they affect the result: with one run per slot in place of
// two, (W-N)/F of the same program is 1.3% higher. It also uses the limit's margin as the
// injected slow-down, or at least the margin if the limit is for another class.
func Measure(ctx context.Context, spec harness.Spec, limits *File, run harness.Runner, progress func(*harness.Comparison)) (j Judged, err error) {
	spec = AsCalibrated(spec, limits)
	judge := func(c *harness.Comparison) Verdict { return Judge(c, limits, time.Now()) }
	j.Comparison, err = harness.Measure(ctx, spec, run, func(c *harness.Comparison) bool {
		progress(c)
		return judge(c).Decided()
	})
	if err == nil {
		j.Verdict = judge(j.Comparison)
	}
	return j, err
}

// AsCalibrated returns the spec with the plan that [Measure] uses. limits may be nil.
func AsCalibrated(spec harness.Spec, limits *File) harness.Spec {
	if limits == nil {
		return spec
	}
	own := limits.Class == machine.Class()
	if l := limits.Find(spec.Workload, MetricCounts, spec.Durability); l != nil {
		spec.Plan = CountsPlan(spec.Plan)
		return spec
	}
	l := limits.Find(spec.Workload, MetricCostRatio, string(spec.Durability))
	if l == nil {
		return spec
	}
	if spec.Plan.SlowBy = max(spec.Plan.SlowBy, l.Margin); own {
		spec.Plan.SlowBy = l.Margin // the self-check injects exactly what the limit claims to detect
	}
	if made := l.Provenance.Plan; own && made.Check() == nil {
		spec.Plan.Blocks, spec.Plan.Warmups, spec.Plan.Rounds, spec.Plan.Batch = made.Blocks, made.Warmups, made.Rounds, made.Batch
	}
	return spec
}

// String formats the verdict and the main figures as a table.
func (j Judged) String() string {
	var b strings.Builder
	v := j.Verdict
	fmt.Fprintf(&b, "%s: %s\n", strings.ToUpper(v.Outcome.String()), v.Reason)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if c := j.Comparison; c != nil && len(c.Blocks) > 0 {
		fmt.Fprintf(w, "  (W-N)/F\t%v\n", c.CostRatio)
		fmt.Fprintf(w, "  W-N\t%v\tdurability %s\n", c.Cost, c.Durability)
		fmt.Fprintf(w, "  (W-N)/N\t%v\tnot gated\n", c.Overhead)
		fmt.Fprintf(w, "  scripts\t%v\tin every arm that runs the pipeline\n", c.Scripts)
	}
	if v.Boundary > 0 {
		fmt.Fprintf(w, "  boundary\t%.4g\tbaseline %.4g, margin %.3g%%; above it %d of %d blocks\n", v.Boundary, v.Baseline, 100*v.Margin, v.Above, v.N)
		if v.Notices > 0 {
			fmt.Fprintf(w, "  notices here\t%+.2g%%\tthe smallest slow-down that this limit notices on this machine\n", 100*v.Notices)
		}
	}
	for _, s := range v.Self {
		fmt.Fprintf(w, "  %s\t%s\tmust be %s (%d of %d above)\n", s.Name, s.Got, s.Want, s.Above, s.N)
	}
	w.Flush() // writes to memory and cannot fail
	for _, n := range v.Notes {
		fmt.Fprintf(&b, "  note: %s\n", n)
	}
	fmt.Fprintf(&b, "  next: %s", cmp.Or(v.Next, "nothing to do"))
	return b.String()
}
