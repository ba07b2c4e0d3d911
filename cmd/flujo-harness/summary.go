package main

import (
	"io"
	"strings"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/render"
)

// summarize prints the summary of an analysis and more lines. On a terminal the summary is formatted
// for it; otherwise it is plain and not cut.
func summarize(out io.Writer, a *analysis.Analysis, page string, more []string) error {
	on := cli.NewSummaryScreen(out)
	on.Program, on.Report = cli.Invocation(), page
	text := strings.Join(append(render.Summary(a, on), more...), "\n") + "\n"
	if on.Color {
		out = cli.Acting(out) // the summary has escaped all texts that are not trusted
	}
	return cli.Print(out, text)
}
