package render

import (
	"bytes"
	"io"
	"regexp"
	"testing"

	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/sample"
)

// Golden files for every format of one analysis. That of the page omits styles and scripts, which have
// their own tests, and the packed table of specs, whose compression may change.
func TestEveryFormatGolden(t *testing.T) {
	run, earlier := sample.Samples["broken"]()
	a := analyzed(run, earlier)
	elided := regexp.MustCompile(`(?s)(<(?:style|script)[^>]*>).*?(</(?:style|script)>)|(data-table=")[^"]*(")`)
	for name, write := range map[string]func(io.Writer, *analysis.Analysis) error{
		"broken.json":        WriteJSON,
		"broken.junit.xml":   WriteJUnit,
		"broken.ctrf.json":   WriteCTRF,
		"broken.md":          func(w io.Writer, a *analysis.Analysis) error { return WriteMarkdown(w, a, 1<<20) },
		"broken.openmetrics": WriteOpenMetrics,
		"broken.csv":         WriteCSV,
		"broken.badge.json":  WriteBadge,
		"broken.html":        Render,
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := write(&out, a); err != nil {
				t.Fatal(err)
			}
			golden(t, name, elided.ReplaceAllString(out.String(), "$1$2$3$4"))
		})
	}
}
