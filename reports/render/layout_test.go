package render

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/sample"
	"github.com/flujo/flujo-harness/thresholds"
)

// Histories whose pages have a golden layout.
var histories = []struct {
	name string
	of   func(t *testing.T) *analysis.Analysis
}{
	{"green", func(t *testing.T) *analysis.Analysis {
		return judged(analysisOf(t, analysis.Options{}, sample.Cells("a:......", "b:......", "c:......")...))
	}},
	{"one-red", func(t *testing.T) *analysis.Analysis {
		return judged(analysisOf(t, analysis.Options{}, sample.Cells("a:......", "b:......", "c:.F....")...))
	}},
	{"many-red", func(*testing.T) *analysis.Analysis { return fullAnalysis(240, 40, "") }},
	{"flaky", func(t *testing.T) *analysis.Analysis {
		return judged(analysisOf(t, analysis.Options{}, sample.Cells("a:..F...", "b:......", "c:R.....", "d:..B...", "d:..R...", "d:......")...))
	}},
	{"cost-only", func(*testing.T) *analysis.Analysis {
		a := analyzed(sample.BenchRun())
		a.Series = fullAnalysis(40, 40, "").Series
		return a
	}},
	{"100000", func(*testing.T) *analysis.Analysis { return fullAnalysis(100_000, 60, "") }},
}

// judged sets the outcome of a run as flujo-harness run does.
func judged(a *analysis.Analysis) *analysis.Analysis {
	a.Headline.Outcome, a.Headline.Word, a.Run.Outcome = thresholds.Held, "HELD", thresholds.Held
	if a.Counts.Failed > 0 {
		a.Headline.Outcome, a.Headline.Word, a.Run.Outcome = thresholds.Broken, "BROKEN", thresholds.Broken
	}
	return a
}

var widths = []int64{390, 768, 1280, 1920}

// boxes lists the boxes of the overview: name, left, top, width and height. They depend less on the
// fonts of a machine than pictures do.
const boxes = `[...document.querySelectorAll('.tabs, #verdict, .tile, .bar, .counts, #target, .warn, .view section, article.card, details.more, figure svg')].filter(e => e.checkVisibility()).map(e => {
	const r = e.getBoundingClientRect();
	return [e.id && e.tagName !== 'ARTICLE' ? '#' + e.id : e.getAttribute('aria-labelledby') || e.getAttribute('class'), r.left, r.top + scrollY, r.width, r.height].map(v => typeof v === 'number' ? Math.round(v) : v.split(' ').join('.')).join(' ') })`

// colours lists the computed colours.
const colours = `[['body', 'backgroundColor'], ['body', 'color'], ['#verdict', 'backgroundColor'], ['#verdict', 'borderLeftColor'], ['.tile', 'borderTopColor'], ['.tile .big', 'color'], ['.tag', 'color'], ['.tabs a[aria-current]', 'color']].filter(c => document.querySelector(c[0])).map(c => c.join(' ') + ' ' + getComputedStyle(document.querySelector(c[0]))[c[1]])`

// layouts compares the page of each history with its golden file, at each width, and the
// colours in light and dark; with -pages it also writes pictures of them.
func layouts(t *testing.T, tb *tab) {
	for _, h := range histories {
		path := written(t, h.of(t))
		var lines []string
		for _, width := range widths {
			tb.media("", "light")
			tb.size(width, 800, width < 600)
			tb.open(path)
			tb.until(`document.documentElement.dataset.ready === 'overview'`)
			for _, box := range is[[]string](tb, boxes) {
				lines = append(lines, fmt.Sprintf("%d %s", width, box))
			}
			for _, scheme := range []string{"light", "dark"} {
				tb.media("", scheme)
				if width == 1280 {
					for _, c := range is[[]string](tb, colours) {
						lines = append(lines, scheme+" "+c)
					}
				}
				if *sample.Pages != "" {
					png, err := chromedp.Run(tb.ctx, chromedp.FullScreenshot(100))
					if err == nil {
						err = os.WriteFile(filepath.Join(*sample.Pages, fmt.Sprintf("history-%s-%d-%s.png", h.name, width, scheme)), png, 0o644)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		golden := filepath.Join("testdata", "layout-"+h.name+".txt")
		if *sample.Update {
			if err := os.WriteFile(golden, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range compareLayouts(strings.Split(strings.TrimSpace(string(want)), "\n"), lines) {
			t.Errorf("%s: %s", h.name, problem)
		}
	}
}

// compareLayouts returns the differences of two layouts that fonts do not explain: another element or
// colour, a left edge or a width that differs by more than 2 pixels, a height that differs by more than
// two fifths plus a line of text, or a top that differs by more than a quarter plus a line of text.
func compareLayouts(want, got []string) (problems []string) {
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) {
			return append(problems, fmt.Sprintf("%d lines, want %d", len(got), len(want)))
		}
		var w, g [4]float64
		wantName, gotName := boxOf(want[i], &w), boxOf(got[i], &g)
		apart := func(k int, share float64) bool {
			return math.Abs(w[k]-g[k]) > share*w[k]+map[bool]float64{true: 26, false: 2}[share > 0]
		}
		if wantName != gotName {
			return append(problems, fmt.Sprintf("%q, want %q: every line after it may differ", got[i], want[i]))
		}
		if apart(0, 0) || apart(1, 0.25) || apart(2, 0) || apart(3, 0.4) {
			problems = append(problems, fmt.Sprintf("%q, want about %q", got[i], want[i]))
		}
	}
	return problems
}

// boxOf parses a line of a layout: a name and four numbers. A line with a colour has only a name.
func boxOf(line string, box *[4]float64) string {
	fields := strings.Fields(line)
	if len(fields) != 6 || strings.Contains(line, "rgb") {
		return line
	}
	for i := range box {
		if _, err := fmt.Sscan(fields[2+i], &box[i]); err != nil {
			return line
		}
	}
	return strings.Join(fields[:2], " ")
}

func TestCompareLayouts(t *testing.T) {
	want := []string{"390 tile 16 200 358 100", "light body color rgb(1, 2, 3)"}
	for name, test := range map[string]struct {
		got  []string
		good bool
	}{
		"the same":         {want, true},
		"another font":     {[]string{"390 tile 16 240 358 130", want[1]}, true},
		"wider":            {[]string{"390 tile 16 200 368 100", want[1]}, false},
		"to the right":     {[]string{"390 tile 20 200 358 100", want[1]}, false},
		"twice as high":    {[]string{"390 tile 16 200 358 200", want[1]}, false},
		"far below":        {[]string{"390 tile 16 400 358 100", want[1]}, false},
		"another element":  {[]string{"390 card 16 200 358 100", want[1]}, false},
		"another colour":   {[]string{want[0], "light body color rgb(1, 2, 4)"}, false},
		"an element more":  {append([]string{want[0]}, want...), false},
		"an element fewer": {want[1:], false},
	} {
		if problems := compareLayouts(want, test.got); len(problems) == 0 != test.good {
			t.Errorf("%s: %v", name, problems)
		}
	}
}
