package render

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/reports/internal/text"
)

type junitSuitesOut struct {
	XMLName  xml.Name        `xml:"testsuites"`
	Name     string          `xml:"name,attr"`
	Tests    int             `xml:"tests,attr"`
	Failures int             `xml:"failures,attr"`
	Errors   int             `xml:"errors,attr"`
	Skipped  int             `xml:"skipped,attr"`
	Time     string          `xml:"time,attr"`
	Suites   []junitSuiteOut `xml:"testsuite"`
}

type junitSuiteOut struct {
	Name      string         `xml:"name,attr"`
	Tests     int            `xml:"tests,attr"`
	Failures  int            `xml:"failures,attr"`
	Errors    int            `xml:"errors,attr"`
	Skipped   int            `xml:"skipped,attr"`
	Time      string         `xml:"time,attr"`
	Timestamp string         `xml:"timestamp,attr,omitempty"`
	Exact     *junitExactOut `xml:"properties"`
	Cases     []junitCaseOut `xml:"testcase"`
}

type junitCaseOut struct {
	Class   string         `xml:"classname,attr"`
	Name    string         `xml:"name,attr"`
	File    string         `xml:"file,attr,omitempty"`
	Line    int            `xml:"line,attr,omitempty"`
	Time    string         `xml:"time,attr"`
	Exact   *junitExactOut `xml:"properties"`
	Failure *junitTextOut  `xml:"failure"`
	Error   *junitTextOut  `xml:"error"`
	Flaky   *junitTextOut  `xml:"flakyFailure"`
	Skipped *junitTextOut  `xml:"skipped"`
	Out     string         `xml:"system-out,omitempty"`
}

// junitExactOut is the property with facts that the format cannot express, see [ingest.ExactName].
type junitExactOut struct {
	Property struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	} `xml:"property"`
}

func newJUnitExact(v any) *junitExactOut {
	var e junitExactOut
	e.Property.Name, e.Property.Value = ingest.ExactName, ingest.ExactText(v)
	return &e
}

type junitTextOut struct {
	Message string `xml:"message,attr,omitempty"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the specs of the run as JUnit XML. A pass that was retried has a flakyFailure,
// as in files of Surefire. A failure outside the specs becomes a testcase with an error, so that
// every reader sees that the suite failed. Control characters and characters that XML does not allow
// are written as escapes. Facts that the elements cannot express are in a property, so that
// [ingest.Read] returns the same results.
func WriteJUnit(w io.Writer, a *analysis.Analysis) error {
	out := junitSuitesOut{Name: ingest.ExactName}
	if a.Run.SuiteError != "" {
		node := ingest.ExactNode(&reports.SuiteFailure{Node: "results"})
		out.add(junitSuiteOut{Name: "suites", Time: "0", Cases: []junitCaseOut{{Class: "suites", Name: "[results]", Time: "0", Exact: newJUnitExact(node), Error: junitText("no results", a.Run.SuiteError)}}})
	}
	if a.Run.Suites != nil {
		for _, s := range junitSuitesOf(a.Run.Suites) {
			out.add(s)
		}
	}
	out.Time = seconds3(time.Duration(a.Run.Seconds * float64(time.Second)))
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("write JUnit XML: %w", err)
	}
	e := xml.NewEncoder(w)
	e.Indent("", " ")
	if err := e.Encode(out); err != nil {
		return fmt.Errorf("write JUnit XML: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// junitSuitesOf joins all suites with the same path in one testsuite.
func junitSuitesOf(r *reports.Results) []junitSuiteOut {
	at := map[string]int{}
	var suites []junitSuiteOut
	var times []time.Duration
	var exact []ingest.ExactSuite
	suite := func(path string) int {
		i, known := at[path]
		if !known {
			i, at[path] = len(suites), len(suites)
			suites, times, exact = append(suites, junitSuiteOut{Name: reports.Visible(path)}), append(times, 0), append(exact, ingest.ExactSuite{Path: path})
		}
		return i
	}
	for _, s := range r.Suites {
		i := suite(s.Path)
		if !s.Started.IsZero() && suites[i].Timestamp == "" {
			suites[i].Timestamp = s.Started.UTC().Format("2006-01-02T15:04:05.999999999")
		}
		exact[i].Add(&s)
		for _, f := range s.Failures {
			name := "[" + reports.Visible(f.Node) + "]"
			if n := len(suites[i].Cases); n > 0 {
				name += fmt.Sprintf(" (%d)", n+1) // several in one suite are not attempts of one
			}
			suites[i].Cases = append(suites[i].Cases, junitCaseOut{Class: suites[i].Name, Name: name, File: reports.Visible(f.File), Line: f.Line, Time: "0",
				Exact: newJUnitExact(ingest.ExactNode(&f)), Error: junitText("failed outside the specs", f.Message)})
		}
	}
	for k := range r.Specs {
		i := suite(r.Specs[k].Suite)
		suites[i].Cases = append(suites[i].Cases, newJUnitCase(&r.Specs[k]))
		times[i] += r.Specs[k].Duration
	}
	for i := range suites {
		suites[i].Time = seconds3(times[i])
		if exact[i] != (ingest.ExactSuite{Path: suites[i].Name}) || suites[i].Name == "" {
			suites[i].Exact = newJUnitExact(exact[i])
		}
	}
	return suites
}

// add counts what is in the suite.
func (out *junitSuitesOut) add(s junitSuiteOut) {
	for _, c := range s.Cases {
		s.Tests++
		switch {
		case c.Error != nil:
			s.Errors++
		case c.Failure != nil:
			s.Failures++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
	out.Tests, out.Failures, out.Errors, out.Skipped = out.Tests+s.Tests, out.Failures+s.Failures, out.Errors+s.Errors, out.Skipped+s.Skipped
	out.Suites = append(out.Suites, s)
}

func newJUnitCase(s *reports.Spec) junitCaseOut {
	c := junitCaseOut{Class: reports.Visible(strings.Join(s.Containers, " ")), Name: reports.Visible(leafName(s)), File: reports.Visible(s.File), Line: s.Line, Time: seconds3(s.Duration), Out: reports.VisibleBlock(s.Output)}
	switch {
	case s.State == reports.Skipped, s.State == reports.Pending:
		c.Skipped = &junitTextOut{Message: reports.Visible(firstLine(s.Message))}
		if s.State == reports.Pending {
			c.Skipped.Message = "pending"
		}
		if text := reports.VisibleBlock(s.Message); text != c.Skipped.Message {
			c.Skipped.Text = text
		}
	case s.State != reports.Passed:
		c.Failure = junitText(s.Detail, s.Message)
	case s.Retried:
		c.Flaky = junitText(s.Detail, s.Message)
	}
	if !c.plainlySays(s) {
		c.Exact = newJUnitExact(ingest.NewExact(s))
	}
	return c
}

// plainlySays reports whether package ingest can read the spec from the testcase without a property.
func (c *junitCaseOut) plainlySays(s *reports.Spec) bool {
	t := ingest.JunitCase{Name: c.Name, Class: c.Class, Skipped: c.Skipped != nil}
	switch {
	case c.Failure != nil:
		t.Failures, t.Detail = 1, c.Failure.Type
	case c.Flaky != nil:
		t.Retries, t.Detail = 1, "" // the type of an attempt is not that of the spec
	}
	p, _ := ingest.PlainExact(&t, s.Suite)
	return p.State == s.State && p.Leaf == s.Leaf && slices.Equal(p.Containers, s.Containers) && p.Occurrence == s.Occurrence &&
		p.Attempts == s.Attempts && p.Retried == s.Retried && p.Detail == s.Detail && len(s.Labels) == 0 && len(s.Attachments) == 0
}

// leafName returns a name that is never empty and distinguishes specs with the same texts.
func leafName(s *reports.Spec) string {
	name := cmp.Or(s.Leaf, "(no text)")
	if s.Occurrence > 1 {
		return fmt.Sprintf("%s (%d)", name, s.Occurrence)
	}
	return name
}

func junitText(kind, message string) *junitTextOut {
	return &junitTextOut{Message: text.Cut(reports.Visible(firstLine(message)), 300), Type: reports.Visible(kind), Text: reports.VisibleBlock(message)}
}

func seconds3(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 6, 64) }
