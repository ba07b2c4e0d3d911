package ingest

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// ginkgo converts a testcase of Ginkgo: an It or another node of the suite. Ginkgo joins the texts
// of the containers, the text of the spec and its labels in one name; if the spec ran, its log
// shows where the text ends. keep is false if it is not a spec.
func (j *junitReader) ginkgo(s *junitSuite, t *JunitCase, r *junitResult) (keep bool, err error) {
	spec := &r.spec
	node, name := "It", strings.TrimSpace(t.Name)
	if m := ginkgoNode.FindStringSubmatch(name); m != nil {
		node, name = m[1], name[len(m[0]):]
	} else if name == "" {
		node = "suite"
	}
	text := t.faults.String()
	spec.Containers, spec.Message = nil, cmp.Or(t.first, t.skip, text)
	if at := ginkgoPlace.FindStringSubmatch(text); at != nil {
		spec.File = j.c.relative(at[1])
		spec.Line, _ = strconv.Atoi(at[2]) // digits
	}
	if node != "It" {
		if spec.State == reports.Failed {
			return false, j.c.fail(&s.Suite, node, spec.Message, spec.File, spec.Line)
		}
		return false, nil
	}
	if spec.Detail = ""; spec.State == reports.Failed && t.Detail != "failed" {
		spec.Detail = t.Detail
	}
	if spec.State == reports.Skipped {
		if t.status == "pending" {
			spec.State = reports.Pending
		}
		spec.Message = strings.TrimPrefix(strings.TrimPrefix(spec.Message, t.status), " - ")
	}
	at, leaf := place{}, ""
	if m := ginkgoEntered.FindStringSubmatch(t.log.String()); m != nil {
		leaf, at.file = m[1], m[2]
		at.line, _ = strconv.Atoi(m[3]) // digits
		if spec.File == "" {
			spec.File, spec.Line = j.c.relative(at.file), at.line
		}
	}
	spec.Leaf, spec.Labels = splitLabels(name, leaf)
	if tries := len(ginkgoRetry.FindAllString(t.log.String(), -1)); tries > 0 {
		spec.Attempts, spec.Retried = 1+tries, spec.State == reports.Passed
	}
	r.place = at
	return true, nil
}

var (
	ginkgoNode    = regexp.MustCompile(`^\[(It|BeforeSuite|AfterSuite|SynchronizedBeforeSuite|SynchronizedAfterSuite|ReportBeforeSuite|ReportAfterSuite|DeferCleanup \((?:Suite|AfterSuite)\)|DeferCleanup)\] ?`)
	ginkgoEntered = regexp.MustCompile(`(?m)^> Enter \[It\] (.*) - (.+):(\d+) @ `)
	ginkgoPlace   = regexp.MustCompile(`(?m)^\s*In \[[^\]]+\] at: (.+):(\d+) @ `)
	ginkgoRetry   = regexp.MustCompile(`(?m)^\s*Attempt #\d+ Failed\.`)
	ginkgoLabels  = regexp.MustCompile(` \[([^\[\]]*)\]$`)
)

// splitLabels separates the labels at the end of a name from its text. leaf is the text of the
// spec, or "" if it is unknown: then brackets at the end are interpreted as labels, although they
// may be part of the text. Version constraints are in separate brackets.
func splitLabels(name, leaf string) (text string, labels []string) {
	text = name
	least := 0
	if i := strings.LastIndex(name, leaf); leaf != "" && i >= 0 {
		least = i + len(leaf)
	}
	for {
		m := ginkgoLabels.FindStringSubmatchIndex(text)
		if m == nil || m[0] < least || m[0] == 0 {
			return text, labels
		}
		labels = strings.Split(text[m[2]:m[3]], ", ")
		if text = text[:m[0]]; leaf == "" {
			return text, labels
		}
	}
}

// ginkgoSuite reads the properties that Ginkgo writes for a suite.
func (j *junitReader) ginkgoSuite(s *junitSuite) error {
	s.Focused = s.props["SuiteHasProgrammaticFocus"] == "true"
	s.Seed, _ = strconv.ParseInt(cmp.Or(s.props["RandomSeed"], "0"), 10, 64) // 0 if it is not a number
	var reasons []string
	if reason := s.props["SpecialSuiteFailureReason"]; reason != "" {
		reasons = append(reasons, reason)
	}
	if s.props["DryRun"] == "true" {
		reasons = append(reasons, dryRun)
	}
	if s.props["SuiteSucceeded"] == "false" && s.own.failed == 0 && len(s.Failures)+len(reasons) == 0 {
		reasons = append(reasons, failedUnexplained)
	}
	for _, reason := range reasons {
		if err := j.c.fail(&s.Suite, "suite", reason, "", 0); err != nil {
			return err
		}
	}
	return nil
}
