package ingest

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/reports"
	gocmp "github.com/google/go-cmp/cmp"
)

// producers contains the expected results of the files in testdata/producers, by many programs.
var producers = map[string]struct {
	counts   reports.Counts
	failures int    // failures outside the specs
	note     string // part of the notes, or "" if there must be none
}{
	"ctrf-retries-not-flaky.json":    {counts: reports.Counts{Passed: 2, Pending: 1}, note: `status "other"`},
	"doctype.xml":                    {counts: reports.Counts{Passed: 1}},
	"dup-fail-then-pass.xml":         {counts: reports.Counts{Passed: 1, Failed: 1}, note: "nothing says that they are retries"},
	"float-counts.xml":               {counts: reports.Counts{Passed: 1}},
	"go-junit-report-go-version.xml": {counts: reports.Counts{Passed: 3, Failed: 1, Skipped: 1}, failures: 2},
	"jest-suite-error.xml":           {counts: reports.Counts{Passed: 1, Failed: 1}, note: `testsuite "cart/broken.test.js" states 0 tests and lists 1`},
	"jest-todo.xml":                  {counts: reports.Counts{Passed: 2}, note: `testsuite "Cart" states 1 test and lists 2`},
	"mocha-junit-pending.xml":        {counts: reports.Counts{Passed: 1}, note: `states 2 tests and lists 1; testsuites "Mocha Tests" states 1 skipped and lists 0`},
	"nested-own-only.xml":            {counts: reports.Counts{Passed: 2, Failed: 1}},
	"playwright-two-projects.xml":    {counts: reports.Counts{Passed: 3, Failed: 1}},
	"pytest-subtests.xml":            {counts: reports.Counts{Passed: 2}, note: `testsuite "pytest" states 5 tests and lists 2`},
	"catch2.xml":                     {counts: reports.Counts{Passed: 2, Failed: 2, Skipped: 2}, note: `testsuite "c" states 7 tests and lists 6`},
	"jest-suite-name.xml":            {counts: reports.Counts{Passed: 4, Failed: 6, Skipped: 2}, note: `testsuite "broken.test.js" states 0 tests and lists 2`},
	"playwright.xml":                 {counts: reports.Counts{Passed: 5, Failed: 1, Skipped: 4, Retried: 1}},
	"pytest.xml":                     {counts: reports.Counts{Passed: 1, Failed: 6, Skipped: 2}, note: "further attempts of the same spec: 1"},
	"vitest.xml":                     {counts: reports.Counts{Passed: 2, Failed: 3, Skipped: 2}, note: "nothing says that they are retries"},
	"root-error-no-suite.xml":        {counts: reports.Counts{Passed: 1}},
	"single-testcase-root.xml":       {counts: reports.Counts{Passed: 1}},
	"skipped-and-failed.xml":         {counts: reports.Counts{Failed: 1}},
	"surefire-flakes-attr.xml":       {counts: reports.Counts{Passed: 2, Retried: 1}},
	"time-big-commas.xml":            {counts: reports.Counts{Passed: 1}, note: "invalid durations, read as 0: 2; the first is"},
	"time-comma-1078.xml":            {counts: reports.Counts{Passed: 1}, note: "invalid durations"},
	"time-decimal-comma.xml":         {counts: reports.Counts{Passed: 1}},
	"time-empty.xml":                 {counts: reports.Counts{Passed: 1}, note: `the first is ""`},
	"time-exp.xml":                   {counts: reports.Counts{Passed: 1}},
	"time-hms.xml":                   {counts: reports.Counts{Passed: 1}},
	"time-inf.xml":                   {counts: reports.Counts{Passed: 1}, note: "invalid durations"},
	"time-nan.xml":                   {counts: reports.Counts{Passed: 1}, note: "invalid durations"},
	"time-negative.xml":              {counts: reports.Counts{Passed: 1}, note: "invalid durations"},
	"time-space.xml":                 {counts: reports.Counts{Passed: 1}, note: "invalid durations"},
	"time-unit.xml":                  {counts: reports.Counts{Passed: 1}},
}

func TestProducers(t *testing.T) {
	files, err := filepath.Glob("testdata/producers/*")
	if err != nil || len(files) != len(producers) {
		t.Errorf("%d files, %v, and %d expectations", len(files), err, len(producers))
	}
	for name, want := range producers {
		t.Run(name, func(t *testing.T) {
			r, err := ReadFile(filepath.Join("testdata/producers", name), "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(want.counts, r.Results.Counts()); diff != "" || r.Results.SuiteFailures() != want.failures {
				t.Errorf("%d failures outside the specs, want %d; %s", r.Results.SuiteFailures(), want.failures, diff)
			}
			notes := strings.Join(r.Notes, "\n")
			if !strings.Contains(notes, want.note) || (want.note == "") != (notes == "") {
				t.Errorf("notes %q, want %q", r.Notes, want.note)
			}
			sound(t, r)
		})
	}
}

// xmlNode is an element of a file that is written again in another order.
type xmlNode struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Text    string     `xml:",chardata"`
	Nodes   []*xmlNode `xml:",any"`
}

// moving lists the elements whose order must not affect the results.
var moving = []string{"testsuite", "testcase", "UnitTestResult", "UnitTest", "test-suite", "test-case", "assembly", "collection", "test"}

// shuffle changes the order of suites and tests.
func (n *xmlNode) shuffle(random *rand.Rand) {
	random.Shuffle(len(n.Nodes), func(a, b int) {
		moves := func(e *xmlNode) bool { return slices.Contains(moving, e.XMLName.Local) }
		if moves(n.Nodes[a]) && moves(n.Nodes[b]) {
			n.Nodes[a], n.Nodes[b] = n.Nodes[b], n.Nodes[a]
		}
	})
	for _, inner := range n.Nodes {
		inner.shuffle(random)
	}
}

// outline returns the results that must not depend on the order of a file: counts, keys, states, and
// failures outside the specs.
func outline(r *Reading) []string {
	var all []string
	for i := range r.Results.Specs {
		s := &r.Results.Specs[i]
		all = append(all, "key "+s.Key(), fmt.Sprintf("%s is %s %v %d", s.AppendName(nil), s.State, s.Retried, s.Attempts))
	}
	for _, s := range r.Results.Suites {
		for _, f := range s.Failures {
			all = append(all, s.Path+" "+f.Node+" "+f.Message)
		}
	}
	slices.Sort(all)
	return append(all, fmt.Sprint(r.Results.Counts(), r.Results.Green()))
}

func TestOrderChangesNothing(t *testing.T) {
	files, _ := filepath.Glob("testdata/producers/*.xml")
	more, _ := filepath.Glob("testdata/*.xml*")
	random := rand.New(rand.NewPCG(1, 2))
	for _, name := range append(files, more...) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data := testFile(t, strings.TrimPrefix(name, "testdata/"))
			var root xmlNode
			if err := xml.NewDecoder(newCleanXMLOf(data)).Decode(&root); err != nil {
				t.Fatal(err)
			}
			first, err := Read(bytes.NewReader(data), "")
			if err != nil {
				t.Fatal(err)
			}
			want := outline(first)
			for range 5 {
				root.shuffle(random)
				text, err := xml.Marshal(&root)
				if err != nil {
					t.Fatal(err)
				}
				again, err := Read(bytes.NewReader(text), "")
				if err != nil {
					t.Fatal(err)
				}
				if diff := gocmp.Diff(want, outline(again)); diff != "" {
					t.Fatalf("in another order: %s", diff)
				}
			}
		})
	}
}

func newCleanXMLOf(data []byte) *cleanXML { return newCleanXML(newBuffer(bytes.NewReader(data))) }

// Results with equal names are distinguished by their locations, not by their order.
func TestResultsOfOneName(t *testing.T) {
	const adds = `<testcase name="adds" classname="c"%s>%s</testcase>`
	one := func(more, inner string) string { return fmt.Sprintf(adds, more, inner) }
	fails := `<failure message="m"/>`
	suite := func(attrs, inner string) string { return `<testsuite name="s"` + attrs + `>` + inner + `</testsuite>` }
	for name, test := range map[string]struct{ a, b, root string }{
		"hosts":      {suite(` hostname="linux"`, one("", fails)), suite(` hostname="windows"`, one("", "")), ""},
		"files":      {suite("", one(` file="a_test.py"`, fails)), suite("", one(` file="b_test.py"`, "")), ""},
		"lines":      {suite("", one(` file="a_test.py" line="3"`, fails)), suite("", one(` file="a_test.py" line="9"`, "")), ""},
		"siblings":   {suite("", one("", fails)+`<testcase name="x"/>`), suite("", one("", "")+`<testcase name="y"/>`), ""},
		"numbers":    {suite(` id="0"`, one("", fails)), suite(` id="1"`, one("", "")), ""},
		"suiteName":  {suite(` file="a.js"`, one("", fails)), suite(` file="b.js"`, one("", "")), ` name="my tests"`},
		"Playwright": {suite(` hostname="chromium"`, `<testcase name="adds" classname="s">`+fails+`</testcase>`), suite(` hostname="firefox"`, `<testcase name="adds" classname="s"/>`), ` id="" name=""`},
	} {
		var all []map[string]reports.State
		for _, order := range [][]string{{test.a, test.b}, {test.b, test.a}} {
			r, err := Read(strings.NewReader("<testsuites"+test.root+">"+strings.Join(order, "")+"</testsuites>"), "")
			if err != nil {
				t.Fatal(err)
			}
			states := map[string]reports.State{}
			for _, s := range r.Results.Specs {
				if s.Leaf == "adds" {
					states[s.Key()] = s.State
				}
			}
			if len(states) != 2 || r.Results.Green() {
				t.Errorf("%s: %v", name, states)
			}
			all = append(all, states)
		}
		if diff := gocmp.Diff(all[0], all[1]); diff != "" {
			t.Errorf("%s: the order changes which of them fails: %s", name, diff)
		}
	}
}

// A project of Playwright has the same key whether others ran with it or not.
func TestProjectsOfPlaywrightAreNamed(t *testing.T) {
	const file = `<testsuites id="" name="" tests="1" failures="0"><testsuite name="cart.spec.ts" hostname="firefox" tests="1"><testcase name="%s" classname="cart.spec.ts"/></testsuite></testsuites>`
	for text, want := range map[string]string{"adds": "cart.spec.ts\nfirefox adds\n1", "[firefox] › adds": "cart.spec.ts\n[firefox] › adds\n1"} {
		r, err := Read(strings.NewReader(fmt.Sprintf(file, text)), "")
		if err != nil || r.Results.Specs[0].Key() != want {
			t.Errorf("%+v, %v, want %q", r, err, want)
		}
	}
}

// Totals that count a test once, as a pass, are evidence of a retry; others are none.
func TestTotalsAreEvidenceOfRetries(t *testing.T) {
	pass, fail := `<testcase name="a"/>`, `<testcase name="a"><failure message="m"/></testcase>`
	other := `<testcase name="b"/>`
	lost := `<testcase name="c"><failure/></testcase><testcase name="c"><failure/></testcase>`
	for name, test := range map[string]struct {
		totals, cases string
		want          reports.Counts
	}{
		"both say so":        {` tests="2" failures="0"`, fail + pass + other, reports.Counts{Passed: 2, Retried: 1}},
		"in another order":   {` tests="2" failures="0"`, pass + other + fail, reports.Counts{Passed: 2, Retried: 1}},
		"with one that lost": {` tests="3" failures="1"`, fail + pass + other + lost, reports.Counts{Passed: 2, Failed: 1, Retried: 1}},
		"lost twice":         {` tests="4" failures="2"`, fail + pass + other + lost, reports.Counts{Passed: 2, Failed: 2, Retried: 1}},
		"only the tests":     {` tests="2" failures="1"`, fail + pass + other, reports.Counts{Passed: 2, Failed: 1}},
		"only the failures":  {` tests="3" failures="0"`, fail + pass + other, reports.Counts{Passed: 2, Failed: 1}},
		"no failures stated": {` tests="2"`, fail + pass + other, reports.Counts{Passed: 2, Failed: 1}},
		"only the errors":    {` tests="2" errors="0"`, fail + pass + other, reports.Counts{Passed: 2, Failed: 1}},
		"two passes":         {` tests="2" failures="0"`, fail + pass + pass + other, reports.Counts{Passed: 3, Failed: 1}},
		"none":               {"", fail + pass, reports.Counts{Passed: 1, Failed: 1}},
	} {
		r, err := Read(strings.NewReader(cased(test.totals, test.cases)), "")
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(test.want, r.Results.Counts()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// The run is never better than the totals that its file states.
func TestFailuresThatAreStatedAndNotListed(t *testing.T) {
	const pass = `<testcase name="a"/>`
	for text, want := range map[string]int{
		cased(` tests="1" failures="1"`, pass):                                                                                                1,
		cased(` tests="1" errors="1"`, pass):                                                                                                  1,
		`<testsuites failures="1">` + cased(` failures="1"`, pass) + `</testsuites>`:                                                          1,
		`<testsuites errors="2">` + cased(` failures="0"`, pass) + `</testsuites>`:                                                            1,
		`<testsuites failures="2">` + cased(` failures="1"`, pass) + `</testsuites>`:                                                          2,
		`<testsuite name="o" failures="1"><testsuite name="i" failures="1">` + pass + `<testcase><error/></testcase></testsuite></testsuite>`: 0,
		`<testsuite name="s" failures="1"><error message="no browser"/>` + pass + `</testsuite>`:                                              1,
		`<testsuites><error message="no browser"/>` + cased("", pass) + `</testsuites>`:                                                       1,
		`<testsuites errors="1"><error message="no browser">at x</error>` + cased("", pass) + `</testsuites>`:                                 1,
		`<testsuite name="s" tests="0" failures="1"/>`:                                                                                        1,
		`<testsuite name="s" tests="1" failed="1">` + pass + `</testsuite>`:                                                                   1,
		`<testsuite name="s" status="FAILED">` + pass + `</testsuite>`:                                                                        1,
		`<testsuite name="o" success="false"><testsuite name="i" success="false">` + pass + `</testsuite></testsuite>`:                        1,
		`<testsuites result="failure"><testsuite name="s">` + pass + `</testsuite></testsuites>`:                                              1,
		`<testsuites result="failure"><testsuite name="s" result="failure"><testcase name="b"><failure/></testcase></testsuite></testsuites>`: 0,
	} {
		r, err := Read(strings.NewReader(text), "")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if r.Results.SuiteFailures() != want || r.Results.Green() {
			t.Errorf("%s: %+v, want %d failures outside the specs", text, r.Results, want)
		}
	}
}

func TestTimes(t *testing.T) {
	const none = -1
	for text, want := range map[string]time.Duration{
		"0": 0, "0.25": 250 * time.Millisecond, ".5": 500 * time.Millisecond, "3.": 3 * time.Second, "1e-05": 10 * time.Microsecond, "-0.000000": 0,
		"1,234.5": 1234500 * time.Millisecond, "1,234,567": 1234567 * time.Second, "0,16": 160 * time.Millisecond, "12,5": 12500 * time.Millisecond, "1.234,5": 1234500 * time.Millisecond,
		"0.5s": 500 * time.Millisecond, "250 ms": 250 * time.Millisecond, "7us": 7 * time.Microsecond, "2 minutes": 2 * time.Minute, "1h": time.Hour, "3 secs": 3 * time.Second,
		"00:00:01.5": 1500 * time.Millisecond, "01:02": 62 * time.Second, "1:02:03,5": time.Hour + 2*time.Minute + 3500*time.Millisecond,
		"": none, " ": none, "NaN": none, "Inf": none, "-0.001": none, "1 234,5": none, "1,515,069,223.854": none, "1500000000": none, "1e300": none, "1:99": none, "fast": none, "1.2.3": none, "0x10": none,
	} {
		r, err := Read(strings.NewReader(fmt.Sprintf(`<testsuite name="s"><testcase name="a" time="%s"/></testsuite>`, text)), "")
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Results.Specs[0].Duration; got != max(0, want) || (len(r.Notes) > 0) != (want == none) {
			t.Errorf("%q: %v, notes %q, want %v", text, got, r.Notes, want)
		}
	}
}

// A time such as "1,078" means what the other times of its file say.
func TestDoubtfulTimes(t *testing.T) {
	for other, want := range map[string]time.Duration{"0,5": 1078 * time.Millisecond, "12,25": 1078 * time.Millisecond, "0,160": 1078 * time.Millisecond, "3": 0, "0.5": 0, "2,345": 0} {
		for _, order := range [][]any{{"1,078", "a", other, "b"}, {other, "b", "1,078", "a"}} {
			r, err := Read(strings.NewReader(fmt.Sprintf(`<testsuite><testcase time="%s" name="%s"/><testcase time="%s" name="%s"/></testsuite>`, order...)), "")
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range r.Results.Specs {
				if s.Leaf == "a" && (s.Duration != want || (len(r.Notes) == 0) != (want > 0)) {
					t.Errorf("beside %s: %v, notes %q, want %v", other, s.Duration, r.Notes, want)
				}
			}
		}
	}
}

// A clock that says no zone may be hours from the others.
func TestStampsWithoutAZone(t *testing.T) {
	for text, want := range map[string]bool{"2026-11-28T10:00:00": true, "2026-11-28 10:00:00.5": true, "2026-11-28T10:00:00Z": false, "2026-11-28T10:00:00-08:00": false, "2026-11-28 10:00:00.5+01:00": false, "soon": false} {
		r, err := Read(strings.NewReader(`<testsuite name="s" timestamp="`+text+`"><testcase name="a"/></testsuite>`), "")
		if err != nil || r.NoZone != want {
			t.Errorf("%s: %+v, %v", text, r, err)
		}
	}
}
