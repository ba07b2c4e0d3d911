package render

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/thresholds"
)

// WriteOpenMetrics writes the analysis as a text file in the OpenMetrics format, for a
// textfile collector or a push. Labels hold what others wrote as visible escapes.
func WriteOpenMetrics(w io.Writer, a *analysis.Analysis) error {
	var m metrics
	m.family("flujo_run_info", "info", "", "The run that is reported.")
	m.sample("flujo_run_info", 1, "run", strconv.FormatInt(a.Run.ID, 10), "commit", a.Run.Commit, "branch", a.Run.Branch, "outcome", a.Run.Outcome.String())
	m.family("flujo_run_outcome", "stateset", "", "Outcome of the run.")
	for _, o := range []thresholds.Outcome{thresholds.Held, thresholds.Broken, thresholds.Inconclusive, thresholds.Invalid} {
		m.sample("flujo_run_outcome", b2f(a.Headline.Outcome == o), "flujo_run_outcome", o.String())
	}
	if a.Run.Suites != nil {
		m.specs(a)
	}
	m.costs(a)
	m.WriteString("# EOF\n")
	if _, err := io.WriteString(w, m.String()); err != nil {
		return fmt.Errorf("write OpenMetrics: %w", err)
	}
	return nil
}

type metrics struct{ strings.Builder }

func (m *metrics) specs(a *analysis.Analysis) {
	m.family("flujo_specs", "gauge", "", "Specs of the run by state.")
	for _, s := range []struct {
		state reports.State
		n     int
	}{{reports.Passed, a.Counts.Passed}, {reports.Failed, a.Counts.Failed}, {reports.Skipped, a.Counts.Skipped}, {reports.Pending, a.Counts.Pending}} {
		m.sample("flujo_specs", float64(s.n), "state", string(s.state))
	}
	m.family("flujo_specs_retried", "gauge", "", "Specs that passed only when retried.")
	m.sample("flujo_specs_retried", float64(a.Counts.Retried))
	if a.Rate.Of > 0 {
		low, high := a.Rate.Band()
		m.family("flujo_pass_rate_ratio", "gauge", "ratio", "Passed of passed and failed; bounds: Wilson, 95%.")
		m.sample("flujo_pass_rate_ratio", a.Rate.Share(), "bound", "value")
		m.sample("flujo_pass_rate_ratio", low, "bound", "low")
		m.sample("flujo_pass_rate_ratio", high, "bound", "high")
		m.family("flujo_pass_rate_all_ratio", "gauge", "ratio", "Passed of all, skipped and pending ones too.")
		m.sample("flujo_pass_rate_all_ratio", a.RateAll.Share())
	}
	if a.Target != nil {
		m.family("flujo_target_fixes", "gauge", "", "Fixes that are missing to the target.")
		m.sample("flujo_target_fixes", float64(a.Target.ToGo))
	}
	m.family("flujo_failures_outside_specs", "gauge", "", "Failures of builds, suites and packages that no spec carries.")
	m.sample("flujo_failures_outside_specs", float64(outsideCount(a.Run)))
	outside := map[reports.Kind]int{}
	for i := range a.Outside {
		outside[a.Outside[i].Kind]++
	}
	m.family("flujo_outside_transitions", "gauge", "", "Failures outside the specs by how they moved since the run before.")
	for _, k := range []reports.Kind{reports.Broke, reports.StillFailing, reports.Failing, reports.Flaky, reports.Fixed, reports.NotRun, reports.Gone} {
		m.sample("flujo_outside_transitions", float64(outside[k]), "kind", string(k))
	}
	moved := map[reports.Kind]int{}
	for i := range a.Moves {
		moved[a.Moves[i].Kind]++
	}
	m.family("flujo_transitions", "gauge", "", "Specs by how they moved since the run before.")
	for _, k := range reports.Kinds {
		m.sample("flujo_transitions", float64(moved[k]), "kind", string(k))
	}
	m.family("flujo_flaky_specs", "gauge", "", "Specs of the window that flake.")
	m.sample("flujo_flaky_specs", float64(len(a.Flakes)))
}

// costs has a family at a time: the format wants the samples of one together.
func (m *metrics) costs(a *analysis.Analysis) {
	if len(a.Run.Comparisons) == 0 {
		return
	}
	m.family("flujo_durability_cost_ratio", "gauge", "ratio", "(W-N)/F: what durability costs over the least it could cost.")
	for _, c := range a.Run.Comparisons {
		if text.Estimated(c.CostRatio) {
			m.sample("flujo_durability_cost_ratio", c.CostRatio.Value, "workload", c.Workload, "durability", c.Durability)
		}
	}
	m.family("flujo_durability_limit_ratio", "gauge", "ratio", "The calibrated limit on it.")
	for i := range a.Run.Comparisons {
		c := &a.Run.Comparisons[i]
		if v := a.Run.VerdictFor(c); v != nil && v.Limit > 0 {
			m.sample("flujo_durability_limit_ratio", v.Limit, "workload", c.Workload, "durability", c.Durability)
		}
	}
	m.family("flujo_durability_cost_seconds", "gauge", "seconds", "W-N: what durability adds to one run.")
	for _, c := range a.Run.Comparisons {
		if text.Estimated(c.Cost) {
			m.sample("flujo_durability_cost_seconds", c.Cost.Value/1e6, "workload", c.Workload, "durability", c.Durability)
		}
	}
}

func (m *metrics) family(name, kind, unit, help string) {
	if kind == "info" {
		name = strings.TrimSuffix(name, "_info") // of which the samples have it
	}
	fmt.Fprintf(m, "# TYPE %s %s\n", name, kind)
	if unit != "" {
		fmt.Fprintf(m, "# UNIT %s %s\n", name, unit)
	}
	fmt.Fprintf(m, "# HELP %s %s\n", name, help)
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func (m *metrics) sample(name string, value float64, labels ...string) {
	m.WriteString(name)
	for i := 0; i < len(labels); i += 2 {
		sep := ","
		if i == 0 {
			sep = "{"
		}
		fmt.Fprintf(m, `%s%s="%s"`, sep, labels[i], labelEscapes.Replace(reports.Visible(labels[i+1])))
	}
	if len(labels) > 0 {
		m.WriteString("}")
	}
	fmt.Fprintf(m, " %s\n", strconv.FormatFloat(value, 'g', -1, 64))
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
