package render

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/thresholds"
)

// seriesOf returns a series with one value per run.
func seriesOf(unit string, values ...float64) *analysis.Series {
	s := &analysis.Series{Name: "default at process", Unit: unit, Counted: unit == "B/op"}
	for i, v := range values {
		s.Points = append(s.Points, analysis.SeriesPoint{Run: history.RunLine{ID: int64(i + 1), Commit: "c0ffee", Started: time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC), Digest: strings.Repeat("a", 16)}, Value: v, Low: v, High: v})
	}
	return s
}

func TestSeriesInWords(t *testing.T) {
	s := seriesOf("x the floor", 1.31, 1.532)
	s.Points[1].Low, s.Points[1].High, s.Points[1].Limit, s.Points[1].Judged, s.Points[1].Outcome = 1.51, 1.55, 1.452, true, thresholds.Broken
	v := newSeries(s)
	want := seriesView{Name: "default at process", Unit: "x the floor", Now: "1.53x (1.51x to 1.55x), limit 1.45", Range: "1.31x to 1.53x over 2 runs", Tone: "broken"}
	got := seriesView{Name: v.Name, Unit: v.Unit, Now: v.Now, Range: v.Range, Tone: v.Tone}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	last := v.Points[1]
	if diff := cmp.Diff(seriesPoint{X: 288, Y: last.Y, URL: "#run-2", Text: "run 2 of 3 March, commit c0ffee: 1.53x (1.51x to 1.55x), limit 1.45", Class: "bad"}, last); diff != "" {
		t.Error(diff)
	}
	if v := newSeries(seriesOf("B/op", 1264, 1264, 1264)); v.Range != "the same in 3 runs" || v.Now != "1,264" || v.Band != "" || v.Limit != "" {
		t.Errorf("%+v", v)
	}
	if v := newSeries(seriesOf("sec/op", 1.2e-6, 2.2e-7)); v.Range != "220 ns to 1.20 µs over 2 runs" {
		t.Errorf("%+v", v)
	}
}

// For any values, every mark is within its chart.
func TestSeriesStayInTheirChart(t *testing.T) {
	for _, values := range [][]float64{{1, 2}, {0, 0}, {-5, 5, 0}, {1e-300, 1e300}, {7, 7, 7}, {math.MaxFloat64 / 4, 1}} {
		for _, p := range newSeries(seriesOf("sec/op", values...)).Points {
			if !(p.X >= 0 && p.X <= smallWidth && p.Y >= 0 && p.Y <= smallHeight) {
				t.Errorf("%v: a point at %g, %g", values, p.X, p.Y)
			}
		}
	}
}

func TestServedChartsLeadToPagesOfRuns(t *testing.T) {
	s := seriesOf("sec/op", 1, 2)
	p := page{Series: []seriesView{newSeries(s)}}
	p.serveSeries([]history.RunLine{s.Points[0].Run}, "")
	if a, b := p.Series[0].Points[0].URL, p.Series[0].Points[1].URL; a != "/run/"+strings.Repeat("a", 16) || b != "#run-2" {
		t.Errorf("%s, %s", a, b)
	}
}
