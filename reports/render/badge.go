package render

import (
	"bytes"
	"fmt"
	"html/template"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

var badgeTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("badge").Parse(`<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="20" role="img" aria-label="{{.Label}}: {{.Text}}"><title>{{.Label}}: {{.Text}}</title>` +
		`<rect width="{{.Width}}" height="20" rx="3" fill="#464c53"/><rect x="{{.Split}}" width="{{.Rest}}" height="20" rx="3" fill="{{.Color}}"/><rect x="{{.Split}}" width="4" height="20" fill="{{.Color}}"/>` +
		`<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle"><text x="{{.LabelX}}" y="14">{{.Label}}</text><text x="{{.TextX}}" y="14">{{.Text}}</text></g></svg>
`))
})

type badge struct {
	Label, Text, Color string
	Width, Split, Rest int
	LabelX, TextX      float64
}

// WriteBadge writes the pass rate with its denominator as an SVG picture. The colour shows the outcome
// of the run.
func WriteBadge(w io.Writer, a *analysis.Analysis) error {
	b := badge{Label: "specs", Text: "no results", Color: map[string]string{"held": "#14713d", "broken": "#b3261e", "inconclusive": "#7a5200", "invalid": "#7b2d8e"}[a.Headline.Outcome.String()]}
	switch {
	case a.Rate.Of > 0:
		b.Text = fmt.Sprintf("%s of %s", a.Rate.Percent(), text.Count(a.Rate.Of))
	case a.Run.Suites != nil:
		b.Text = "none ran"
	}
	if n := outsideCount(a.Run); n > 0 {
		b.Text += fmt.Sprintf(", %s outside", text.Plural(n, "failure"))
	}
	if word := a.Headline.Outcome.String(); word == "invalid" || word == "inconclusive" {
		b.Text += ", " + word
	}
	size := func(s string) int { return 7*utf8.RuneCountInString(s) + 12 }
	b.Split, b.Rest = size(b.Label), size(b.Text)
	b.Width = b.Split + b.Rest
	b.LabelX, b.TextX = float64(b.Split)/2, float64(b.Split)+float64(b.Rest)/2
	var text bytes.Buffer
	if err := badgeTemplate().Execute(&text, b); err != nil {
		return fmt.Errorf("write badge: %w", err)
	}
	if _, err := w.Write(text.Bytes()); err != nil {
		return fmt.Errorf("write badge: %w", err)
	}
	return nil
}
