package publish

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/thresholds"
)

func TestAnnotations(t *testing.T) {
	r := reports.Run{
		Suites: &reports.Results{
			Suites: []reports.Suite{{Path: "shop", Failures: []reports.SuiteFailure{{Node: "BeforeSuite", Message: "no database", File: "shop/shop_suite_test.go", Line: 9}}}},
			Specs: []reports.Spec{
				{Suite: "shop", Leaf: "adds up: 1, 2", State: reports.Failed, Message: "Expected\r\n 100%\n::error::not a command\x1b[31m", File: "shop/a,b:c.go", Line: 12},
				{Suite: "shop", Leaf: "elsewhere", State: reports.Failed, Message: "m", File: "/go/pkg/mod/x.go", Line: 3},
				{Suite: "shop", Leaf: "gone", State: reports.Failed, Message: "m", File: "example.com/shop/gone_test.go", Line: 3},
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
		"::error title=shop > gone::m", // GitHub shows nothing for a line of a file that does not exist
		"::error title=broken::above its limit; look",
		"::warning file=mod/shop/l_test.go,line=4,title=shop > late passed only when retried::m",
	}
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "shop"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"shop_suite_test.go", "a,b:c.go", "l_test.go"} {
		if err := os.WriteFile(filepath.Join(root, "shop", name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, annotations(r, nil, root, "mod/")); diff != "" {
		t.Error(diff)
	}
}

// GitHub shows ten annotations of a kind and does not mention the others.
func TestAnnotationsSayHowManyAreLeftOut(t *testing.T) {
	r := reports.Run{Suites: &reports.Results{}}
	for i := range 13 {
		r.Suites.Specs = append(r.Suites.Specs, reports.Spec{Suite: "s", Leaf: fmt.Sprint(i), State: reports.Failed})
	}
	got := annotations(r, nil, t.TempDir(), "")
	if len(got) != maxAnnotations || !strings.HasSuffix(got[9], "::and 4 more: see the report") {
		t.Errorf("%d annotations, the last is %q", len(got), got[len(got)-1])
	}
}

// Texts sent to CI contain no secrets, and no markup or commands that have an effect.
func TestNothingSecretGoesToCI(t *testing.T) {
	secret := "ghp_" + "canary1abcdefghij1234567890" // concatenated, so that secret scanners do not report it
	said := "key " + secret + "\n::error::\x1b[31m\u202e <script>"
	run := reports.Run{Format: "Ginkgo JSON", Command: "run --token=" + secret, Outcome: thresholds.Broken, Complete: true, Suites: &reports.Results{
		Suites: []reports.Suite{{Path: "shop", Failures: []reports.SuiteFailure{{Node: "BeforeSuite", Message: said}}}},
		Specs: []reports.Spec{{Suite: "shop", Leaf: "asks with " + secret, Occurrence: 1, State: reports.Failed, Attempts: 1, Message: said, Labels: []string{"owner:" + secret}},
			{Suite: "shop", Leaf: "late", Occurrence: 1, State: reports.Passed, Retried: true, Attempts: 2, Message: said}}},
		Verdicts: []thresholds.Verdict{{Outcome: thresholds.Broken, Workload: "default", Reason: said, Next: said, Notes: []string{said}}}}
	history, err := history.Open(t.Context(), filepath.Join(t.TempDir(), "h.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer history.Close()
	if _, err := history.Append(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	kept, err := analysis.Analyze(t.Context(), history, analysis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]*analysis.Analysis{"alone": analysis.AnalyzeSingleRun(run), "from the history": kept} {
		f := Flags{Summary: filepath.Join(t.TempDir(), "summary.md"), annotations: "github"}
		var out strings.Builder
		if err := f.Write(t.Context(), project.Project{Root: t.TempDir()}, a, &out); err != nil {
			t.Fatal(err)
		}
		summary, err := os.ReadFile(f.Summary)
		if err != nil {
			t.Fatal(err)
		}
		for what, text := range map[string]string{"annotations": out.String(), "summary": string(summary)} {
			if strings.Contains(text, secret) || !strings.Contains(text, "[redacted]") {
				t.Errorf("%s, %s: a secret, or nothing is said of it:\n%s", name, what, text)
			}
			if strings.ContainsAny(text, "\x1b\u202e") {
				t.Errorf("%s, %s: characters that act:\n%q", name, what, text)
			}
		}
		if n := strings.Count(out.String(), "\n"); n != 4 {
			t.Errorf("%s: %d lines, want one for each annotation:\n%s", name, n, out.String())
		}
	}
}
