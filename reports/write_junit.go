package reports

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
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
	Cases     []junitCaseOut `xml:"testcase"`
}

type junitCaseOut struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	File    string        `xml:"file,attr,omitempty"`
	Line    int           `xml:"line,attr,omitempty"`
	Time    string        `xml:"time,attr"`
	Failure *junitTextOut `xml:"failure"`
	Error   *junitTextOut `xml:"error"`
	Flaky   *junitTextOut `xml:"flakyFailure"`
	Skipped *junitTextOut `xml:"skipped"`
}

type junitTextOut struct {
	Message string `xml:"message,attr,omitempty"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// ownName is the name of the root element of [WriteJUnit].
const ownName = "flujo-harness"

// WriteJUnit writes the specs of the run as JUnit XML. A pass that was retried has a
// flakyFailure, as surefire writes it; a failure that no spec carries is a testcase
// with an error, so that no reader takes the suite for good. Characters that XML cannot
// hold, and those that act on a screen, stand as visible escapes.
func WriteJUnit(w io.Writer, a *Account) error {
	out := junitSuitesOut{Name: ownName}
	if a.Run.SuiteError != "" {
		out.add(junitSuiteOut{Name: "suites", Time: "0", Cases: []junitCaseOut{{Class: "suites", Name: "[results]", Time: "0", Error: junitText("no results", a.Run.SuiteError)}}})
	}
	if r := a.Run.Suites; r != nil {
		at := map[string]int{}
		var suites []junitSuiteOut
		var times []time.Duration
		suite := func(path string) int {
			i, known := at[path]
			if !known {
				i, at[path] = len(suites), len(suites)
				suites, times = append(suites, junitSuiteOut{Name: Visible(path)}), append(times, 0)
			}
			return i
		}
		for _, s := range r.Suites {
			i := suite(s.Path)
			if !s.Started.IsZero() {
				suites[i].Timestamp = s.Started.UTC().Format("2006-01-02T15:04:05")
			}
			for _, f := range s.Failures {
				name := "[" + Visible(f.Node) + "]"
				if n := len(suites[i].Cases); n > 0 {
					name += fmt.Sprintf(" (%d)", n+1) // several in one suite are not attempts of one
				}
				suites[i].Cases = append(suites[i].Cases, junitCaseOut{Class: suites[i].Name, Name: name, File: Visible(f.File), Line: f.Line, Time: "0", Error: junitText("failed outside the specs", f.Message)})
			}
		}
		for k := range r.Specs {
			i := suite(r.Specs[k].Suite)
			suites[i].Cases = append(suites[i].Cases, newJUnitCase(&r.Specs[k]))
			times[i] += r.Specs[k].Duration
		}
		for i := range suites {
			suites[i].Time = seconds3(times[i])
			out.add(suites[i])
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

func newJUnitCase(s *Spec) junitCaseOut {
	c := junitCaseOut{Class: Visible(strings.Join(s.Containers, " ")), Name: Visible(leafName(s)), File: Visible(s.File), Line: s.Line, Time: seconds3(s.Duration)}
	switch {
	case s.State == Skipped, s.State == Pending:
		c.Skipped = &junitTextOut{Message: Visible(firstLine(s.Message))}
		if s.State == Pending {
			c.Skipped.Message = "pending"
		}
	case s.State != Passed:
		c.Failure = junitText(s.Detail, s.Message)
	case s.Retried:
		c.Flaky = junitText(s.Detail, s.Message)
	}
	return c
}

// leafName is a name that no reader takes for none, and that tells specs of the same
// texts apart.
func leafName(s *Spec) string {
	name := cmp.Or(s.Leaf, "(no text)")
	if s.Occurrence > 1 {
		return fmt.Sprintf("%s (%d)", name, s.Occurrence)
	}
	return name
}

func junitText(kind, text string) *junitTextOut {
	return &junitTextOut{Message: cut(Visible(firstLine(text)), 300), Type: Visible(kind), Text: visibleBlock(text)}
}

func seconds3(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 6, 64) }
