package ingest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports"
	gocmp "github.com/google/go-cmp/cmp"
)

// The streams were written by the version of Go in their name. They test packages of one module that
// end in different ways. Those with "stderr" in their name contain stderr of the go command, too.
func TestGoTestStreams(t *testing.T) {
	type want struct {
		counts     reports.Counts
		outside    []string // nodes of failures outside the specs
		failed     []string // failed specs with their detail
		benchmarks int
	}
	const bad, vet = "e.x/m/bad build", "e.x/m/vet build"
	for name, want := range map[string]want{
		"go1.19-build":              {counts: reports.Counts{Passed: 1}, outside: []string{bad}},
		"go1.19-setup":              {counts: reports.Counts{Passed: 1}, outside: []string{"e.x/m/setup build"}},
		"go1.21-build":              {counts: reports.Counts{Passed: 1}, outside: []string{bad}},
		"go1.21-build-stderr":       {counts: reports.Counts{Passed: 1}, outside: []string{bad}},
		"go1.21-setup":              {counts: reports.Counts{Passed: 1}, outside: []string{"e.x/m/setup build"}},
		"go1.21-vet":                {counts: reports.Counts{Passed: 1}, outside: []string{vet}},
		"go1.23-build-stderr":       {counts: reports.Counts{Passed: 1}, outside: []string{bad}},
		"go1.23-vet":                {counts: reports.Counts{Passed: 1}, outside: []string{vet}},
		"go1.26-build":              {counts: reports.Counts{Passed: 1}, outside: []string{bad}},
		"go1.26-setup":              {counts: reports.Counts{Passed: 1}, outside: []string{"e.x/m/setup build"}},
		"go1.26-vet":                {counts: reports.Counts{Passed: 1}, outside: []string{vet}},
		"go1.26-no-m-run":           {counts: reports.Counts{Passed: 1}, outside: []string{"e.x/m/mainless package"}},
		"go1.26-exit-in-init":       {outside: []string{"e.x/m/initexit package"}},
		"go1.26-exit-in-a-test":     {counts: reports.Counts{Passed: 1, Failed: 1}, failed: []string{"TestExit unfinished"}},
		"go1.26-exit-code-ignored":  {counts: reports.Counts{Failed: 1}, failed: []string{"TestFails"}},
		"go1.26-panic":              {counts: reports.Counts{Passed: 2, Failed: 1}, failed: []string{"TestP/two panicked"}},
		"go1.26-panic-in-goroutine": {counts: reports.Counts{Passed: 1, Failed: 1}, failed: []string{"TestGoroutine unfinished"}},
		"go1.26-timeout":            {counts: reports.Counts{Passed: 1, Failed: 1}, failed: []string{"TestHang/sub unfinished"}},
		"go1.26-race":               {counts: reports.Counts{Failed: 1}, failed: []string{"TestRace"}},
		"go1.26-fuzz":               {counts: reports.Counts{Failed: 1}, failed: []string{"FuzzBad"}},
		"go1.26-failfast":           {counts: reports.Counts{Failed: 1}, failed: []string{"TestFlip"}},
		"go1.26-count":              {counts: reports.Counts{Passed: 1, Failed: 1}, failed: []string{"TestFlip flaky"}},
		"go1.26-no-newline-v":       {counts: reports.Counts{Passed: 3, Failed: 1, Skipped: 1}, failed: []string{"TestFail"}},
		"go1.26-routes":             {counts: reports.Counts{Passed: 6, Failed: 2}, failed: []string{"TestParallel/GET_/users", "TestSequential/GET_/users"}},
		"go1.21-routes-v":           {counts: reports.Counts{Passed: 6, Failed: 2}, failed: []string{"TestParallel/GET_/users", "TestSequential/GET_/users"}},
		"go1.26-test2json":          {counts: reports.Counts{Passed: 6, Failed: 2}, failed: []string{"TestParallel/GET_/users", "TestSequential/GET_/users"}},
		"go1.26-bench":              {counts: reports.Counts{Passed: 1}, outside: []string{"e.x/m/bench BenchmarkSub/fails"}, benchmarks: 3},
		"go1.26-bench-alone":        {benchmarks: 2},
		"go1.26-inner":              {counts: reports.Counts{Passed: 4}},
		"go1.26-inner-red":          {counts: reports.Counts{Passed: 3, Failed: 2}, failed: []string{"TestPlain", "of its own"}},
		"go1.26-attr":               {counts: reports.Counts{Failed: 1}, failed: []string{"TestOwned"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ReadFile(filepath.Join("testdata", "gotest", name+".jsonl"), "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(want.counts, r.Results.Counts()); diff != "" {
				t.Error(diff)
			}
			var outside, failed []string
			for _, s := range r.Results.Suites {
				for _, f := range s.Failures {
					outside = append(outside, s.Path+" "+f.Node)
				}
			}
			for _, s := range r.Results.Specs {
				if s.State == reports.Failed {
					failed = append(failed, strings.TrimSpace(s.Leaf+" "+s.Detail))
					if s.Message == "" {
						t.Errorf("%s has no message", s.Leaf)
					}
				}
			}
			slices.Sort(failed)
			if !slices.Equal(outside, want.outside) || !slices.Equal(failed, want.failed) {
				t.Errorf("failures outside the specs %q, failed specs %q\nwant %q, %q", outside, failed, want.outside, want.failed)
			}
			if len(r.Benchmarks) != want.benchmarks {
				t.Errorf("%d benchmarks, want %d: %+v", len(r.Benchmarks), want.benchmarks, r.Benchmarks)
			}
			if inner := strings.Contains(name, "-inner"); inner && (len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "testing.RunTests")) || !inner && len(r.Notes) > 0 {
				t.Errorf("notes %q", r.Notes)
			}
		})
	}
}

// A stream that is truncated while a package is tested is never green: either a test has failed
// before, or the result of the package is missing.
func TestGoTestStreamsCutShort(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "gotest", "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(string(text), "\n")
		for n := 1; n < len(lines)-1; n++ {
			whole := strings.Join(lines[:n], "")
			open := map[string]bool{} // packages that started and did not end
			for _, m := range goPackageEvent.FindAllStringSubmatch(whole, -1) {
				open[m[2]] = m[1] == "start"
			}
			maps.DeleteFunc(open, func(_ string, is bool) bool { return !is })
			for _, cut := range []string{whole, whole + lines[n][:len(lines[n])/2]} {
				r, err := Read(strings.NewReader(cut), "")
				if err == nil && r.Results.Green() && len(open) > 0 {
					t.Errorf("%s, cut in line %d, is green", name, n+1)
				}
			}
		}
	}
}

// goPackageEvent matches the events that start and end a package. The line "ok" of go test is as good
// as the event of the end.
var goPackageEvent = regexp.MustCompile(`(?m)"Action":"(start|pass|fail|output)","Package":"([^"]+)"(?:\}|,"Elapsed":[^"]+\}|,"Output":"ok  .*\})$`)

const (
	goOK = `{"Action":"start","Package":"p"}` + "\n" + `{"Action":"run","Package":"p","Test":"A"}` + "\n" + `{"Action":"pass","Package":"p","Test":"A"}` + "\n" + `{"Action":"pass","Package":"p"}` + "\n"
)

// A line between the events counts as a failure if it reports one.
func TestGoTestLinesThatReportFailures(t *testing.T) {
	for _, line := range []string{
		"FAIL", "FAIL\tq [build failed]", "FAIL\tq [setup failed]", "FAIL\tq\t0.01s", "exit status 2", "panic: out of band", "fatal error: all goroutines are asleep - deadlock!",
		"# q\n./a.go:3:5: undefined: x", "./a.go:3:5: undefined: x", "vet: ./a.go:3:5: undefined: x", "go: updates to go.mod needed", "signal: killed", "make: *** [test] Error 1",
		"package q: no Go files in /src/q", `{"Action":"fail","Package":"q","Test":`, `{"Action":"fail","Action":"pass"}`, `{"ImportPath":"q","Action":"build-fail"}`,
		`{"Action":"start","Package":"q"}`, `{"Action":"pass","Package":"q"}`, `{"Action":"output","Package":"q","Output":"x\n"}`, `2026/11/28 noise {"Time":"2026-11-28T15:10:29Z","Action":"fail","Package":"q"}`,
		`{"Action":"fail"}`, "##[error]Process completed with exit code 1.", "--- FAIL: TestB (0.00s)",
	} {
		for how, text := range map[string]string{"before": line + "\n" + goOK, "after": goOK + line, "between": strings.Replace(goOK, "\n", "\n"+line+"\n", 1)} {
			r, err := Read(strings.NewReader(text), "")
			if err != nil {
				if how != "before" { // the format is recognised by the first line
					t.Errorf("%q %s: %v", line, how, err)
				}
				continue
			}
			if r.Results.Green() || r.Results.Counts().Passed != 1 || r.Results.SuiteFailures() != 1 {
				t.Errorf("%q %s: %+v, %d failures outside the specs, notes %q", line, how, r.Results.Counts(), r.Results.SuiteFailures(), r.Notes)
			}
		}
	}
	for _, line := range []string{"go: downloading example.com/x v1.0.0", "# q\n./a.go:3:5: warning: 'f' is deprecated", "warning: no lock file", "main.go:12: listening", "ok  \tq\t0.1s", "2026/11/28 10:00:00 ready"} {
		r, err := Read(strings.NewReader(goOK+line), "")
		if err != nil || !r.Results.Green() || len(r.Notes) == 0 {
			t.Errorf("%q: %+v, %v", line, r, err)
		}
	}
}

// A failed subtest of a passed test is left out only if the events show that it ran inside of it. If one
// of them is missing, the failure counts.
func TestGoTestInnerTestsNeedTheirEvents(t *testing.T) {
	const all = `run A,run A/x,fail A/x,pass A`
	for missing, failed := range map[string]int{"": 0, "run A,": 1, "run A/x,": 1} {
		text := `{"Action":"start","Package":"p"}` + "\n"
		for event := range strings.SplitSeq(strings.Replace(all, missing, "", 1), ",") {
			action, test, _ := strings.Cut(event, " ")
			text += fmt.Sprintf(`{"Action":%q,"Package":"p","Test":%q}`+"\n", action, test)
		}
		r, err := Read(strings.NewReader(text+`{"Action":"pass","Package":"p"}`), "")
		if err != nil || r.Results.Counts().Failed != failed || r.Results.Green() != (failed == 0) {
			t.Errorf("without %q: %+v, %v, want %d failed", missing, r, err, failed)
		}
	}
}

// A package that occurs again was retried only if the file shows a rerun.
func TestGoTestPackagesThatOccurAgain(t *testing.T) {
	run := func(tests ...string) string {
		var b strings.Builder
		b.WriteString(`{"Action":"start","Package":"p"}` + "\n")
		end := "pass"
		for _, test := range tests {
			name, state, _ := strings.Cut(test, " ")
			b.WriteString(`{"Action":"run","Package":"p","Test":"` + name + `"}` + "\n" + `{"Action":"` + state + `","Package":"p","Test":"` + name + `"}` + "\n")
			if state == "fail" {
				end = "fail"
			}
		}
		return b.String() + `{"Action":"` + end + `","Package":"p"}` + "\n"
	}
	q := func(text string) string { return strings.ReplaceAll(text, `"Package":"p"`, `"Package":"q"`) }
	at := func(text, when string) string {
		return strings.ReplaceAll(text, `{"Action"`, `{"Time":"`+when+`","Action"`)
	}
	for name, test := range map[string]struct {
		text   string
		counts reports.Counts
	}{
		"two platforms":                  {run("A fail") + run("A pass"), reports.Counts{Passed: 1, Failed: 1}},
		"two platforms, the other order": {run("A pass") + run("A fail"), reports.Counts{Passed: 1, Failed: 1}},
		"two platforms, two tests":       {run("A fail", "B pass") + run("A pass", "B pass"), reports.Counts{Passed: 3, Failed: 1}},
		"two platforms, two packages":    {run("A fail") + q(run("B pass")) + run("A pass") + q(run("B pass")), reports.Counts{Passed: 3, Failed: 1}},
		"a rerun of the failed test":     {run("A fail", "B pass") + run("A pass"), reports.Counts{Passed: 2, Retried: 1}},
		"a rerun next to other packages": {run("A fail") + q(run("B pass")) + run("A pass"), reports.Counts{Passed: 2, Retried: 1}},
		"two reruns":                     {run("A fail", "B pass") + run("A fail") + run("A pass"), reports.Counts{Passed: 2, Retried: 1}},
		"a rerun for each test":          {run("A fail", "B fail", "C pass") + run("A pass") + run("B fail"), reports.Counts{Passed: 2, Failed: 1, Retried: 1}},
		"reruns that all fail":           {run("A fail", "B pass") + run("A fail"), reports.Counts{Passed: 1, Failed: 1}},
		"a third run after a pass":       {run("A fail", "B pass") + run("A pass") + run("A fail"), reports.Counts{Passed: 2, Failed: 2}},
		"a new package after the repeat": {run("A fail", "B pass") + run("A pass") + q(run("C pass")), reports.Counts{Passed: 3, Failed: 1}},
		"at the same time":               {at(run("A fail", "B pass"), "2026-11-28T10:00:05Z") + at(run("A pass"), "2026-11-28T10:00:01Z"), reports.Counts{Passed: 2, Failed: 1}},
	} {
		r, err := Read(strings.NewReader(test.text), "")
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(test.counts, r.Results.Counts()); diff != "" {
			t.Errorf("%s: %s%q", name, diff, r.Notes)
		}
		sound(t, r)
	}
}

// If the event for the end of a test or a package is missing, its output contains the result.
func TestGoTestVerdictsInOutput(t *testing.T) {
	out := func(test, text string) string {
		return `{"Action":"output","Package":"p",` + test + `"Output":"` + text + `"}` + "\n"
	}
	const start, a = `{"Action":"start","Package":"p"}` + "\n" + `{"Action":"run","Package":"p","Test":"A"}` + "\n", `"Test":"A",`
	const pass, fail = `{"Action":"pass","Package":"p"}` + "\n", `{"Action":"fail","Package":"p"}` + "\n"
	for name, test := range map[string]struct {
		text     string
		counts   reports.Counts
		failures int
	}{
		"passed":                      {start + out(a, `dot.--- PASS: A (0.00s)\n`) + pass, reports.Counts{Passed: 1}, 0},
		"failed":                      {start + out(a, `dot.--- FAIL: A (0.00s)\n`) + fail, reports.Counts{Failed: 1}, 0},
		"skipped":                     {start + out(a, `dot.--- SKIP: A (0.00s)\n`) + pass, reports.Counts{Skipped: 1}, 0},
		"in two pieces":               {start + out(a, `dot.--- PA`) + out(a, `SS: A (0.00s)\n`) + pass, reports.Counts{Passed: 1}, 0},
		"a text that is not a result": {start + out(a, `--- PASS: A\n`) + pass, reports.Counts{}, 1},
		"the result of another test":  {start + out(a, `--- PASS: B (0.00s)\n`) + pass, reports.Counts{}, 1},
		"a text, and the event":       {start + out(a, `--- FAIL: A (0.00s)\n`) + `{"Action":"pass","Package":"p","Test":"A"}` + "\n" + pass, reports.Counts{Passed: 1}, 0},
		"the last event is missing":   {start + out(a, `dot.--- PASS: A (0.00s)\n`) + out("", `PASS\n`) + out("", `ok  \tp\t0.1s\n`), reports.Counts{Passed: 1}, 0},
		"ok of another package":       {start + out(a, `dot.--- PASS: A (0.00s)\n`) + out("", `PASS\n`) + out("", `ok  \tpq\t0.1s\n`), reports.Counts{Passed: 1}, 1},
		"ok without PASS":             {start + out(a, `dot.--- PASS: A (0.00s)\n`) + out("", `ok  \tp\t0.1s\n`) + pass, reports.Counts{Passed: 1}, 1},
		"a pass that printed FAIL":    {start + out(a, `dot.--- PASS: A (0.00s)\n`) + out("", `FAIL\n`) + pass, reports.Counts{Passed: 1}, 1},
		"a pass with FAIL of go test": {start + out(a, `dot.--- PASS: A (0.00s)\n`) + out("", `FAIL\tp\t0.1s\n`) + pass, reports.Counts{Passed: 1}, 1},
	} {
		r, err := Read(strings.NewReader(test.text), "")
		if err != nil {
			t.Fatal(err)
		}
		if c := r.Results.Counts(); c != test.counts || r.Results.SuiteFailures() != test.failures {
			t.Errorf("%s: %+v, %d failures outside the specs, notes %q", name, c, r.Results.SuiteFailures(), r.Notes)
		}
	}
}

func TestGoTestAttributesAreLabels(t *testing.T) {
	r, err := ReadFile(filepath.Join("testdata", "gotest", "go1.26-attr.jsonl"), "")
	if err != nil {
		t.Fatal(err)
	}
	s := r.Results.Specs[0]
	if !slices.Equal(s.Labels, []string{"owner:team-tax", "category:rounding"}) || reports.OwnerOf(&s) != "team-tax" {
		t.Errorf("labels %q", s.Labels)
	}
	if want := "captured stdout\n    attr_test.go:3: bad\nartifacts: /src/gt/_artifacts/841806489"; s.Message != want {
		t.Errorf("message %q, want %q", s.Message, want)
	}
	many := strings.Replace(goOK, "\n", "\n"+strings.Repeat(`{"Action":"attr","Package":"p","Test":"A","Key":"k","Value":"`+strings.Repeat("v", maxAttr)+`"}`+"\n", 3), 1)
	if r, err = Read(strings.NewReader(many), ""); err != nil || len(r.Notes) != 1 || len(r.Results.Specs[0].Labels) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A file is named relative to the root, in whatever folder the module of its package is. A file that
// does not exist is not named.
func TestGoFilesAreRelativeToTheRoot(t *testing.T) {
	top := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module e.x/m\n\ngo 1.26\n", "a_test.go": "", "b/b_test.go": "",
		"svc/pay/go.mod": "module e.x/pay\n\ngo 1.26\n", "svc/pay/ledger/l_test.go": "",
		"vendor/e.x/v/go.mod": "module e.x/v\n", "vendor/e.x/v/v_test.go": "",
	} {
		path := filepath.Join(top, "repo", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{"go.work": "go 1.26\n\nuse (\n\t./repo\n\t./next\n)\n", "next/go.mod": "module e.x/next\n", "next/n_test.go": ""} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(top, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(top, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root := filepath.Join(top, "repo")
	for _, test := range []struct{ root, pkg, name, want string }{
		{root, "e.x/m", "a_test.go", "a_test.go"},
		{root, "e.x/m/b", "b_test.go", "b/b_test.go"},
		{root, "e.x/m/b", "e.x/m/b/b_test.go", "b/b_test.go"}, // with -trimpath
		{root, "e.x/m/b", "b/b_test.go", "b/b_test.go"},       // by the compiler
		{root, "e.x/m/b", "./b/b_test.go", "b/b_test.go"},
		{root, "e.x/m/b", filepath.Join(root, "b", "b_test.go"), "b/b_test.go"},
		{root, "e.x/m/b", "gone_test.go", ""},
		{root, "e.x/pay/ledger", "l_test.go", "svc/pay/ledger/l_test.go"},
		{root, "e.x/next", "n_test.go", "../next/n_test.go"},
		{root, "e.x/v", "v_test.go", ""},
		{filepath.Join(root, "svc", "pay"), "e.x/pay/ledger", "l_test.go", "ledger/l_test.go"},
		{root, "other.org/m/b", "b_test.go", ""},
		{"", "e.x/m/b", "b_test.go", ""},
	} {
		c := newCollector(&Reading{Results: &reports.Results{}}, test.root)
		if got := c.goFile(test.pkg, test.name); got != test.want {
			t.Errorf("%s %s: %q, want %q", test.pkg, test.name, got, test.want)
		}
	}
}

// Before Go 1.24, builds have no events, so the stream of a failed build alone contains no event. The
// output of go test without -json is still refused.
func TestGoBuildsWithoutEvents(t *testing.T) {
	const failed = "FAIL\texample.com/m/b [build failed]\n"
	const compiler = "# example.com/m/b [example.com/m/b.test]\nb/b_test.go:3:28: undefined: x\n"
	for name, text := range map[string]string{
		"stdout": failed, "both": compiler + failed, "both in reverse order": failed + compiler, "downloads": "go: downloading example.com/n v1.0.0\n" + compiler + failed,
	} {
		r, err := Read(strings.NewReader(text), "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s := r.Results.Suites
		if len(s) != 1 || s[0].Path != "example.com/m/b" || len(s[0].Failures) != 1 || s[0].Failures[0].Node != "build" || strings.Contains(text, "undefined") != strings.Contains(s[0].Failures[0].Message, "undefined: x") {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for _, text := range []string{"ok  \texample.com/m/a\t0.1s\n" + failed, "--- FAIL: TestA (0.00s)\n" + failed, compiler} {
		if r, err := Read(strings.NewReader(text), ""); err == nil {
			t.Errorf("%q is read as %+v", text, r.Results)
		}
	}
}

// A build has the name of its package, even if the file ends before the package refers to it.
func TestBuildsAreNamedForTheirPackage(t *testing.T) {
	for path, want := range map[string]string{"m/a [m/a.test]": "m/a", "m/a.test": "m/a", "m/a": "m/a", "m/x.test [m/a.test]": "m/x.test"} {
		r, err := Read(strings.NewReader(fmt.Sprintf(`{"ImportPath":%[1]q,"Action":"build-output","Output":"a.go:1:1: x"}`+"\n"+`{"ImportPath":%[1]q,"Action":"build-fail"}`, path)), "")
		if err != nil || r.Results.Suites[0].Path != want {
			t.Errorf("%s: %+v, %v, want %s", path, r, err, want)
		}
	}
}
