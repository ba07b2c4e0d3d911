package render

import (
	"fmt"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

// targetView is the distance of the pass rate from its target.
type targetView struct {
	Text         string
	Tone         string
	Progress     float64 // in percent; negative if there is nothing to draw
	ProgressText string
}

type phaseView struct {
	Name, Runs, Failed, Fewer, Rate, RateAll, Paired, Target, Tone string
}

type categoryView struct {
	Name, Passed, Rate, Failed, Before string
}

func (p *page) addRates(a *analysis.Analysis) {
	if a.Target != nil && a.Run.Suites != nil {
		p.Target = newTarget(*a.Target)
	}
	for _, ph := range a.Phases {
		p.Phases = append(p.Phases, newPhase(ph))
	}
	if a.Overall != nil {
		v := newPhase(*a.Overall)
		p.Overall = &v
	}
	for _, c := range a.Categories {
		v := categoryView{Name: orNone(reports.Visible(c.Name)), Passed: fmt.Sprintf("%s of %s", text.Count(c.Rate.Good), text.Count(c.Rate.Of)), Rate: "none",
			Failed: text.Count(c.Counts.Failed), Before: text.Count(c.Failed)}
		if c.Rate.Of > 0 {
			v.Rate = c.Rate.Percent()
		}
		p.Categories = append(p.Categories, v)
	}
	p.Forecast = forecast(a)
}

func newTarget(t analysis.Target) *targetView {
	v := &targetView{Text: targetText(t), Tone: "broken", Progress: -1}
	switch {
	case t.Reached:
		v.Tone = "held"
	}
	if t.Progress.Of > 0 {
		v.Progress = 100 * min(1, max(0, t.Progress.Share()))
		v.ProgressText = fmt.Sprintf("%d of the %s that were missing in the first run of the window are made.", t.Progress.Good, text.Fixes(t.Progress.Of))
	}
	return v
}

// targetText returns a text such as "Target 98.5%: 19 fixes to go; at most 34 may fail."
func targetText(t analysis.Target) string {
	goal := "Target " + percent2(t.Share) + "%: "
	if t.Reached {
		return goal + fmt.Sprintf("reached; at most %s may fail.", text.Count(t.MaxFail))
	}
	return goal + fmt.Sprintf("%s to go; at most %s may fail.", text.Fixes(t.ToGo), text.Count(t.MaxFail))
}

func newPhase(ph analysis.Phase) phaseView {
	v := phaseView{Name: reports.Visible(ph.Name), Runs: "no run yet", Failed: "none", Fewer: "none", Rate: "none", RateAll: "none", Paired: "none", Target: "none"}
	if ph.To == nil {
		if !ph.Open {
			v.Runs = "no run in the history"
		}
		return v
	}
	v.Runs = "to run " + lineName(*ph.To)
	if ph.From != nil {
		v.Runs = fmt.Sprintf("run %s to run %s", lineName(*ph.From), lineName(*ph.To))
		v.Paired = fmt.Sprintf("%d fixed, %d broke", ph.Paired.Fixed, ph.Paired.Broke)
		if ph.Paired.Repeated {
			v.Paired += ", p = " + text.Figure(ph.Paired.P)
		}
	}
	if ph.Open {
		v.Runs += ", open"
	}
	v.Failed = text.Count(ph.Counts.Failed)
	if ph.Fewer.Of > 0 {
		v.Fewer, v.Tone = fewer(ph.Fewer)
	}
	v.Rate, v.RateAll = rateOf(ph.Rate), rateOf(ph.RateAll)
	if ph.Target != nil {
		v.Target = targetText(*ph.Target)
	}
	return v
}

// fewer returns a text such as "10.2% fewer (6 of 59)".
func fewer(r reports.Rate) (text, tone string) {
	switch {
	case r.Good > 0:
		return fmt.Sprintf("%s%% fewer (%d of %d)", reports.Percent(r.Share()), r.Good, r.Of), "held"
	case r.Good < 0:
		return fmt.Sprintf("%s%% more (%d on %d)", reports.Percent(-r.Share()), -r.Good, r.Of), "broken"
	}
	return fmt.Sprintf("as many (%d)", r.Of), ""
}

func rateOf(r reports.Rate) string {
	if r.Of == 0 {
		return "none"
	}
	return fmt.Sprintf("%s of %s", r.Percent(), text.Count(r.Of))
}

func forecast(a *analysis.Analysis) string {
	f := a.Forecast
	if f == nil {
		if a.NoForecast == "" {
			return ""
		}
		return "No forecast: " + text.OneLine(a.NoForecast) + "."
	}
	return fmt.Sprintf("If failures continue to decrease at this rate, the target is reached after %s more runs (95%% prediction interval %d to %d, n=%s). %s",
		text.Figure(f.Runs), f.Low, f.High, text.Plural(f.N, "change"), sentence(text.OneLine(f.Method)))
}
