package render

import (
	"fmt"
	"strings"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/internal/text"
	"github.com/flujo/flujo-harness/reports/live"
)

// runningView is a run in progress, or one whose process ended without recording it.
type runningView struct {
	Word, Tone, Text string
	Meta             string
	Share            float64 // share of the known specs that ended, in percent; 0 if unknown
	Suites           []runningSuite
	Failed           []runningFailure
	More             string
	Now              string
	Last             []string
}

type runningSuite struct {
	Name, State, Tone      string
	Passed, Failed, NotRun string
	Took                   string
}

type runningFailure struct{ Name, Where, Message string }

func runningViews(runs []live.Following) (all []runningView) {
	for i := range runs {
		all = append(all, newRunning(&runs[i]))
	}
	return all
}

func newRunning(r *live.Following) runningView {
	v := runningView{Word: "RUNNING", Tone: "inconclusive", Text: strings.Join(r.Progress(), ", ") + ".", Meta: reports.Visible(r.Command), Now: reports.Visible(r.Now)}
	if r.Known > 0 {
		v.Share = min(100, 100*float64(r.Done())/float64(r.Known))
	}
	if !r.Started.IsZero() {
		v.Meta += ", since " + r.Started.UTC().Format("15:04:05 UTC")
	}
	if r.CutOff {
		v.Word, v.Tone, v.Now = "CUT OFF", "broken", ""
		v.Text = fmt.Sprintf("its process ended at %s, after %s. This run is not in the history.", r.Updated.UTC().Format("15:04:05 UTC"), strings.Join(r.Ended(), ", "))
	}
	for i := range r.Suites {
		v.Suites = append(v.Suites, newRunningSuite(&r.Suites[i], r.CutOff))
	}
	for _, f := range r.Failed {
		v.Failed = append(v.Failed, runningFailure{reports.Visible(f.Name), text.Where(reports.Visible(f.File), f.Line), messageText(f.Message)})
	}
	if r.More > 0 {
		v.More = text.More(r.More, "failure")
	}
	for _, name := range r.Last {
		v.Last = append(v.Last, reports.Visible(name))
	}
	return v
}

func newRunningSuite(s *live.Suite, cutOff bool) runningSuite {
	v := runningSuite{Name: reports.Visible(s.Name), State: string(s.State), Passed: text.Count(s.Counts.Passed), Failed: text.Count(s.Counts.Failed),
		NotRun: text.Count(s.Counts.Skipped + s.Counts.Pending)}
	if s.State == live.Running && cutOff {
		v.State = "cut off"
	}
	switch {
	case s.State == live.Broken || s.Counts.Failed > 0:
		v.Tone = "broken"
	case s.State == live.Ended:
		v.Tone = "held"
	}
	if s.Seconds > 0 {
		v.Took = text.Took(text.Seconds(s.Seconds))
	}
	return v
}

// beforeTheFirst returns the page of a history without runs.
func beforeTheFirst() page {
	return page{Title: "no run yet: flujo-harness report", Module: "flujo-harness", Word: "NO RUN YET", Tone: "inconclusive",
		Reason: "This history has no run yet.", Next: []string{"Record one with flujo-harness run or flujo-harness ingest; this page will show it."}}
}
