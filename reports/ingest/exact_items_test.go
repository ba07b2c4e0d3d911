package ingest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
)

// A list whose elements are written one by one has the same JSON as one that is encoded as a whole.
func TestListsAreWrittenAsJSONHasThem(t *testing.T) {
	type element struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}
	all := []element{{"a\x1b", []string{"x"}}, {`"`, nil}, {"<é>", []string{}}}
	type inner struct {
		List any `json:"list"`
	}
	type outer struct {
		First any   `json:"first"`
		In    inner `json:"in"`
		Last  int   `json:"last"`
	}
	for _, indent := range []string{"", " ", "   "} {
		for n := range len(all) + 1 {
			var want, got bytes.Buffer
			if err := EncodeVisibly(&want, outer{all[:n], inner{all[:n]}, 1}, indent); err != nil {
				t.Fatal(err)
			}
			list := func() *Items { return &Items{N: n, At: func(i int) any { return all[i] }} }
			first, second := list(), list()
			if err := EncodeVisibly(&got, outer{first, inner{second}, 1}, indent, first, second); err != nil {
				t.Fatal(err)
			}
			if got.String() != want.String() {
				t.Errorf("indent %q, %d elements:\n%s\nwant\n%s", indent, n, got.String(), want.String())
			}
			if strings.Contains(got.String(), "\x1b") {
				t.Error("a control character is not escaped")
			}
			if err := EncodeVisibly(&got, outer{first, inner{second}, 1}, indent, second, first); err == nil {
				t.Error("lists in another order are not an error")
			}
		}
	}
	if err := EncodeVisibly(&bytes.Buffer{}, &Items{}, ""); err == nil {
		t.Error("a list that is not an argument is not an error")
	}
}

// Files of package render contain facts that contradict their test cases only if somebody edited them.
// Such a file is refused, so that an edit cannot turn a failure into a pass.
func TestExactFactsThatContradict(t *testing.T) {
	const junit = `<testsuites name="flujo-harness"><testsuite name="s"><testcase classname="s" name="a">%s<properties><property name="flujo-harness" value='%s'/></properties></testcase></testsuite></testsuites>`
	const ctrf = `{"results":{"extra":{"flujo-harness":[{"path":"s"}]},"tests":[{"name":"a","suite":"s","status":"%s","extra":{"flujo-harness":%s}}]}}`
	for _, test := range []struct {
		state, facts string
		want         string // "": it is read
	}{
		{"passed", `{"leaf":"a","occurrence":1,"state":"passed","attempts":1}`, ""},
		{"passed", `{"leaf":"a","occurrence":2,"state":"passed","attempts":3,"retried":true}`, ""},
		{"skipped", `{"leaf":"a","occurrence":1,"state":"skipped"}`, ""},
		{"skipped", `{"leaf":"a","occurrence":1,"state":"pending"}`, ""},
		{"failed", `{"leaf":"a","occurrence":1,"state":"failed","attempts":1}`, ""},
		{"failed", `{"node":"BeforeSuite"}`, ""},
		{"failed", `{"leaf":"a","occurrence":1,"state":"passed","attempts":1}`, "says passed, retried false, and its test case failed"},
		{"failed", `{"leaf":"a","occurrence":1,"state":"pending"}`, "says pending"},
		{"failed", `{"leaf":"a","occurrence":1,"state":"failed","attempts":2,"retried":true}`, "retried true, and its test case failed"},
		{"passed", `{"leaf":"a","occurrence":1,"state":"failed","attempts":1}`, "says failed"},
		{"passed", `{"leaf":"a","occurrence":1,"state":"pending"}`, "says pending"},
		{"passed", `{"leaf":"a","occurrence":0,"state":"passed","attempts":1}`, "occurrence 0 and 1 attempts"},
		{"passed", `{"leaf":"a","occurrence":1,"state":"passed","attempts":-1}`, "occurrence 1 and -1 attempts"},
		{"passed", `{"node":"BeforeSuite"}`, "in a test case that does not fail"},
		{"passed", `[]`, "flujo-harness"},
	} {
		element := map[string]string{"failed": "<failure/>", "skipped": "<skipped/>"}[test.state]
		for form, text := range map[string]string{"JUnit XML": fmt.Sprintf(junit, element, test.facts), "CTRF JSON": fmt.Sprintf(ctrf, test.state, test.facts)} {
			r, err := Read(strings.NewReader(text), "")
			switch {
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%s, %s %s: error %v, want %q", form, test.state, test.facts, err, test.want)
			case test.want == "" && err != nil:
				t.Errorf("%s, %s %s: %v", form, test.state, test.facts, err)
			case test.want == "" && r.Results.Green() != (test.state == "passed"):
				t.Errorf("%s, %s %s: %+v", form, test.state, test.facts, r.Results)
			}
		}
	}
}

// The facts of the suites themselves are read, too, and the failures outside the specs are theirs.
func TestExactSuites(t *testing.T) {
	const facts = `{"path":"s","description":"Shop","seed":7,"focused":true}`
	for form, text := range map[string]string{
		"JUnit XML": `<testsuites name="flujo-harness"><testsuite name="s"><properties><property name="flujo-harness" value='` + facts + `'/></properties><testcase classname="s" name="[BeforeSuite]"><failure message="no"/><properties><property name="flujo-harness" value='{"node":"BeforeSuite"}'/></properties></testcase><testcase classname="s" name="a" time="0.5"><properties><property name="flujo-harness" value='{"leaf":"a","occurrence":1,"state":"passed","attempts":1}'/></properties></testcase></testsuite></testsuites>`,
		"CTRF JSON": `{"results":{"extra":{"flujo-harness":[` + facts + `,{"path":"s"}]},"tests":[{"name":"b","suite":"s","status":"failed","message":"no","extra":{"flujo-harness":{"node":"BeforeSuite"}}},{"name":"a","suite":"s","status":"passed","duration":500,"extra":{"flujo-harness":{"leaf":"a","occurrence":1,"state":"passed","attempts":1}}}]}}`,
	} {
		r, err := Read(strings.NewReader(text), "")
		if err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		want := []reports.Suite{{Path: "s", Description: "Shop", Seed: 7, Focused: true, Failures: []reports.SuiteFailure{{Node: "BeforeSuite", Message: "no"}}}}
		got := slices.Clone(r.Results.Suites)
		for i := range got {
			got[i].Duration = 0
		}
		if diff := gocmp.Diff(want, got); diff != "" || len(r.Results.Specs) != 1 {
			t.Errorf("%s: %s%+v", form, diff, r.Results.Specs)
		}
	}
	for _, text := range []string{
		`<testsuites name="flujo-harness"><testsuite name="s"><properties><property name="flujo-harness" value='[]'/></properties><testcase name="a"/></testsuite></testsuites>`,
		`{"results":{"extra":{"flujo-harness":{}},"tests":[{"name":"a","status":"passed"}]}}`,
		`{"results":{"extra":{"flujo-harness":[]},"tests":[{"name":"a","status":"passed","extra":{"flujo-harness":7}}]}}`,
	} {
		if r, err := Read(strings.NewReader(text), ""); err == nil || !strings.Contains(err.Error(), "flujo-harness") {
			t.Errorf("%s: %+v, %v", text, r, err)
		}
	}
}
