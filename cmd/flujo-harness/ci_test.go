package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/thresholds"
)

func TestAnnotations(t *testing.T) {
	r := reports.Run{
		Suites: &reports.Results{
			Suites: []reports.Suite{{Path: "shop", Failures: []reports.SuiteFailure{{Node: "BeforeSuite", Message: "no database", File: "shop/shop_suite_test.go", Line: 9}}}},
			Specs: []reports.Spec{
				{Suite: "shop", Leaf: "adds up: 1, 2", State: reports.Failed, Message: "Expected\r\n 100%\n::error::not a command\x1b[31m", File: "shop/a,b:c.go", Line: 12},
				{Suite: "shop", Leaf: "elsewhere", State: reports.Failed, Message: "m", File: "/go/pkg/mod/x.go", Line: 3},
				{Suite: "shop", Leaf: "late", State: reports.Passed, Retried: true, Message: "m", File: "shop/l_test.go", Line: 4},
				{Suite: "shop", Leaf: "good", State: reports.Passed},
			},
		},
		Verdicts: []thresholds.Verdict{{Outcome: thresholds.Broken, Reason: "above its limit", Next: "look"}, {Outcome: thresholds.Held}},
	}
	want := []string{
		"::error file=mod/shop/shop_suite_test.go,line=9,title=shop%3A BeforeSuite::no database",
		`::error file=mod/shop/a%2Cb%3Ac.go,line=12,title=shop > adds up%3A 1%2C 2::Expected%0D%0A 100%25%0A::error::not a command\x1b[31m`,
		"::error title=shop > elsewhere::m",
		"::error title=broken::above its limit; look",
		"::warning file=mod/shop/l_test.go,line=4,title=shop > late passed only when retried::m",
	}
	if diff := cmp.Diff(want, annotations(r, "mod/")); diff != "" {
		t.Error(diff)
	}
}

// GitHub shows ten of a kind, and says nothing of the others.
func TestAnnotationsSayHowManyAreLeftOut(t *testing.T) {
	r := reports.Run{Suites: &reports.Results{}}
	for i := range 13 {
		r.Suites.Specs = append(r.Suites.Specs, reports.Spec{Suite: "s", Leaf: fmt.Sprint(i), State: reports.Failed})
	}
	got := annotations(r, "")
	if len(got) != maxAnnotations || !strings.HasSuffix(got[9], "::and 4 more: see the report") {
		t.Errorf("%d annotations, the last is %q", len(got), got[len(got)-1])
	}
}

func TestMarkdownStaysInItsBlock(t *testing.T) {
	text := markdown([]string{"BROKEN: a ```` of", "<script>"})
	if want := "`````text\nBROKEN: a ```` of\n<script>\n`````\n"; !strings.HasSuffix(text, want) {
		t.Errorf("got %q, want the end %q", text, want)
	}
}
