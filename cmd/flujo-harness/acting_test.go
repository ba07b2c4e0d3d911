package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/thresholds"
)

// hostile are texts that each have an effect on a terminal or in the log of a CI service.
var hostile = []string{
	"\x1b[2J\x1b[1;31m", "\x1b]8;;https://example.com\x07link\x1b]8;;\x07", "\x1b]0;title\x1b\\", "\u009b31m", "a\rb\bc\x7f\x00",
	"\u202egnp.exe", "\u2066isolated", "\u200f\u061c", "\u2028\u2029",
	"\n::error file=a.go::boom", "::set-output name=a::b", "\n  ::stop-commands::x", "\r\n::add-mask::e",
	"\n##vso[task.setvariable variable=a]b", "##[error]boom", "\n##teamcity[testFailed name='x']", "\n##[group]x",
	"</script><script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "`\n# heading\n@everyone", "\xff\xc3",
}

// obeyed matches what a terminal or a CI service would obey. It does not use the code under test.
var obeyed = regexp.MustCompile(`[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x{80}-\x{9f}\x{61c}\x{200e}\x{200f}\x{2028}\x{2029}\x{202a}-\x{202e}\x{2066}-\x{2069}]|\r|(?m:^[ \t]*::[a-z-]+)|##[A-Za-z]*\[`)

// TestNoTextOfOthersActs passes texts with such effects, in every field, to every command that
// prints texts from outside, and checks that the output has none of the effects.
func TestNoTextOfOthersActs(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"GITHUB_ACTIONS", "CI", "GITLAB_CI", "TF_BUILD", "TEAMCITY_VERSION"} {
		t.Setenv(name, "")
	}
	files := hostileFiles(t)
	h, err := history.Open(t.Context(), "history.db")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 4 {
		if _, err := h.Append(t.Context(), hostileRun(n)); err != nil {
			t.Fatal(err)
		}
	}
	spec := hostileRun(3).Suites.Specs[0]
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(hostile, " ")
	commands := [][]string{
		{"report", "--db", "history.db", "-v"},
		{"report", "--db", "history.db", "--run", "1", "-v", "--out", "first"},
		{"history", "--db", "history.db"},
		{"gate", "--db", "history.db", "--no-new-failures", "--max-flaky", "0", "--target", "99"},
		{"gate", "--db", "history.db", "--no-new-failures", "--against", all},
		{"quarantine", "add", string(spec.AppendText(nil)), "--db", "history.db", "--owner", all, "--reason", all},
		{"quarantine", "add", all, "--db", "history.db", "--owner", "o", "--reason", "r"},
		{"quarantine", "list", "--db", "history.db"},
		{"report", "--db", "history.db", "--against", all},
		{"report", "--db", all}, {"ingest", all}, {"ingest", "--commit", all, "ctrf.json"}, {"gate", all}, {"trace", all}, {all}, {"report", "--" + all},
		{"compare", all}, {"bench", "--workload", all}, {"merge", all}, {"history", "merge", all, "--db", "history.db"},
	}
	for _, form := range []string{"html", "md", "json", "junit", "ctrf", "openmetrics", "badge", "csv"} {
		commands = append(commands, []string{"report", "--db", "history.db", "--" + form, "-"}, []string{"report", "--db", "history.db", "--" + form, "out." + form})
	}
	for _, f := range files {
		commands = append(commands, []string{"ingest", "--db", "taken.db", "--branch", all, "--job", all, f}, []string{"report", "--db", "taken.db", "-v"}, []string{"history", "--db", "taken.db"})
	}
	for _, args := range commands {
		var out, errs strings.Builder
		code := run(context.Background(), args, strings.NewReader(""), &out, &errs)
		for what, text := range map[string]string{"stdout": out.String(), "stderr": errs.String()} {
			if m := obeyed.FindStringIndex(text); m != nil {
				t.Errorf("%q (exit %d): %s: %q acts", args, code, what, text[max(0, m[0]-60):min(len(text), m[1]+60)])
			}
		}
	}
	for _, form := range []string{"html", "md", "json", "junit", "ctrf", "openmetrics", "badge", "csv"} {
		text, err := os.ReadFile("out." + form)
		if err != nil {
			t.Error(err)
			continue
		}
		if m := obeyed.FindIndex(text); m != nil {
			t.Errorf("file of --%s: %q acts", form, text[max(0, m[0]-60):min(len(text), m[1]+60)])
		}
		if form == "html" && strings.Contains(string(text), "<img src=x") {
			t.Error("the page has an element that a test wrote")
		}
	}
	servedPagesActNot(t)
}

// servedPagesActNot requests all pages that are linked from the pages of serve.
func servedPagesActNot(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	said, stdout := io.Pipe()
	ended := make(chan int, 1)
	var errs strings.Builder
	go func() {
		ended <- run(ctx, []string{"serve", "--db", "history.db"}, strings.NewReader(""), stdout, &errs)
		_ = stdout.CloseWithError(errors.New("serve ended"))
	}()
	defer func() {
		stop()
		if code := <-ended; code != cli.ExitHeld && code != cli.ExitInterrupted {
			t.Errorf("serve: exit %d: %s", code, errs.String())
		}
	}()
	var line string
	if _, err := fmt.Fscanln(said, &line); err != nil {
		t.Errorf("serve: %v: %s", err, errs.String())
		return
	}
	go func() { _, _ = io.Copy(io.Discard, said) }()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Timeout: time.Minute}
	origin, _, _ := strings.Cut(line, "?")
	origin = strings.TrimSuffix(origin, "/")
	left, seen := []string{line}, map[string]bool{}
	link := regexp.MustCompile(`href="(/[^"#]*)`)
	for len(left) > 0 && len(seen) < 40 {
		address := left[0]
		left = left[1:]
		if seen[address] {
			continue
		}
		seen[address] = true
		res, err := client.Get(address)
		if err != nil {
			t.Error(err)
			return
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Error(err)
		}
		if m := obeyed.FindIndex(text); m != nil {
			t.Errorf("%s: %q acts", strings.TrimPrefix(address, origin), text[max(0, m[0]-60):min(len(text), m[1]+60)])
		}
		if strings.Contains(string(text), "<img src=x") || strings.Contains(string(text), "<script>alert") {
			t.Errorf("%s has an element that a test wrote", strings.TrimPrefix(address, origin))
		}
		for name, values := range res.Header {
			if m := obeyed.FindString(strings.Join(values, "")); m != "" {
				t.Errorf("%s: header %s acts", address, name)
			}
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			left = append(left, origin+m[1])
		}
	}
	if len(seen) < 3 {
		t.Errorf("only %d pages were found", len(seen))
	}
}

// hostileRun returns a run in which every text is hostile. Specs fail in some runs and pass in
// others, so that every view has content.
func hostileRun(n int) reports.Run {
	f := filler{}
	r := reports.Run{Started: time.Date(2026, 11, 20+n, 0, 0, 0, 0, time.UTC), Complete: true, Outcome: thresholds.Broken, Commit: fmt.Sprintf("%040d", n), Seconds: 3, ExitCode: 1}
	f.fill(reflect.ValueOf(&r.Origin).Elem())
	r.Origin.Selection = reports.Selection{}
	r.Branch, r.Command, r.Format, r.SuiteError = f.text(), f.text(), f.text(), ""
	r.Facts = []reports.Fact{{Name: f.text(), Value: f.text()}, {Name: reports.LeftOut, Value: f.text()}}
	r.Benchmarks = []reports.Benchmark{{Name: f.text(), Unit: f.text(), Values: []float64{1, 2, float64(n)}}}
	r.Verdicts = make([]thresholds.Verdict, 2)
	for i := range r.Verdicts {
		f.fill(reflect.ValueOf(&r.Verdicts[i]).Elem())
		r.Verdicts[i].Outcome, r.Verdicts[i].Limit = thresholds.Broken, 1.5
	}
	suite := reports.Suite{Path: f.text(), Description: f.text()}
	if n != 1 {
		suite.Failures = []reports.SuiteFailure{{Node: f.text(), Message: f.text() + f.text(), File: f.text(), Line: 3}}
	}
	r.Suites = &reports.Results{Suites: []reports.Suite{suite}}
	for i := range 3 * len(hostile) {
		s := reports.Spec{Suite: suite.Path, Containers: []string{hostile[i%len(hostile)]}, Leaf: fmt.Sprint(hostile[(i+1)%len(hostile)], i), Occurrence: 1, Attempts: 1, Duration: time.Second,
			File: hostile[(i+2)%len(hostile)], Line: i, Labels: []string{hostile[(i+3)%len(hostile)], "owner:" + hostile[(i+4)%len(hostile)], "category:" + hostile[(i+5)%len(hostile)]}}
		switch {
		case (i+n)%3 == 0:
			s.State, s.Detail, s.Message, s.Output = reports.Failed, hostile[(i+6)%len(hostile)], f.text()+f.text(), f.text()
		case i%5 == 0:
			s.State, s.Message = reports.Skipped, f.text()
		default:
			s.State, s.Retried, s.Attempts = reports.Passed, i%2 == 0, 1+(i+1)%2
			if s.Retried {
				s.Message = f.text()
			}
		}
		r.Suites.Specs = append(r.Suites.Specs, s)
	}
	return r
}

// filler returns the hostile texts in turn.
type filler struct{ next int }

func (f *filler) text() string {
	f.next++
	return fmt.Sprint("text", hostile[f.next%len(hostile)])
}

// fill sets every string in a value to a hostile text.
func (f *filler) fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(f.text())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				f.fill(v.Field(i))
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.String {
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			for i := range v.Len() {
				f.fill(v.Index(i))
			}
		}
	}
}

// hostileFiles writes result files with hostile texts.
func hostileFiles(t *testing.T) (paths []string) {
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, name)
	}
	encode := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	type object = map[string]any
	var tests []object
	var events, xml strings.Builder
	for i, text := range hostile {
		tests = append(tests, object{"name": text + fmt.Sprint(i), "status": []string{"passed", "failed", "skipped", "other"}[i%4], "rawStatus": text, "duration": 1, "message": text, "trace": text, "suite": []string{text},
			"filePath": text, "tags": []string{text}, "browser": text, "stdout": []string{text}, "labels": object{text: text}})
		name := "Test" + strings.Map(func(r rune) rune {
			if r <= ' ' {
				return '_'
			}
			return r
		}, text)
		for _, event := range []object{{"Action": "run", "Test": name}, {"Action": "output", "Test": name, "Output": text + "\n"}, {"Action": "fail", "Test": name, "Elapsed": 1}, {"Action": "output", "Output": text + "\n"}} {
			event["Package"] = "example.com/" + name
			events.WriteString(encode(event) + "\n")
		}
		events.WriteString(encode(object{"Action": "fail", "Package": "example.com/" + name}) + "\n" + text + "\n")
		escaped := strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "\n", "&#10;", "\r", "&#13;").Replace(strings.Map(func(r rune) rune {
			if r < ' ' && r != '\n' && r != '\r' || r == 0xfffd {
				return -1
			}
			return r
		}, text))
		fmt.Fprintf(&xml, `<testsuite name="%[1]s" hostname="%[1]s"><properties><property name="%[1]s" value="%[1]s"/></properties><testcase name="%[1]s%[2]d" classname="%[1]s" file="%[1]s" time="%[1]s"><failure message="%[1]s" type="%[1]s">%[1]s</failure><system-out>%[1]s</system-out></testcase></testsuite>`, escaped, i)
	}
	all := strings.Join(hostile, "")
	write("ctrf.json", encode(object{"reportFormat": "CTRF", "specVersion": "1.0.0", "results": object{"tool": object{"name": all}, "summary": object{"tests": len(tests)}, "tests": tests,
		"environment": object{"commit": all, "branchName": all, "buildName": all}}}))
	write("events.jsonl", events.String())
	write("junit.xml", "<testsuites>"+xml.String()+"</testsuites>")
	write("bench.txt", "pkg: example.com/"+strings.ReplaceAll(all, "\n", "")+"\ncommit: "+strings.ReplaceAll(all, "\n", "")+"\nBenchmarkAdd"+strings.Map(func(r rune) rune {
		if r <= ' ' {
			return -1
		}
		return r
	}, all)+" 1 2 ns/op\n")
	write("ginkgo.json", encode([]object{{"SuitePath": "/src/" + all, "SuiteDescription": all, "SuiteSucceeded": false, "SpecialSuiteFailureReasons": []string{all}, "SpecReports": []object{
		{"LeafNodeType": "It", "LeafNodeText": all, "ContainerHierarchyTexts": []string{all}, "State": "failed", "Failure": object{"Message": all, "Location": object{"FileName": all, "LineNumber": 3}},
			"CapturedGinkgoWriterOutput": all, "CapturedStdOutErr": all, "LeafNodeLabels": []string{all}},
		{"LeafNodeType": "BeforeSuite", "State": "failed", "Failure": object{"Message": all}}}}}))
	write("nothing"+filepath.Ext("x.xml"), all)
	return paths
}

// A commit must be hexadecimal, whether it comes from a flag, a file, a CI variable or another
// history.
func TestCommitsAreHexadecimal(t *testing.T) {
	t.Chdir(t.TempDir())
	command := func(want int, args ...string) string {
		t.Helper()
		var out strings.Builder
		if code := run(context.Background(), args, strings.NewReader(""), &out, &out); code != want {
			t.Errorf("%q: exit %d, want %d: %s", args, code, want, out.String())
		}
		return out.String()
	}
	commits := func(db string) (all []string) {
		h, err := history.Open(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		lines, _, err := h.Lines(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			all = append(all, l.Commit)
		}
		return all
	}
	const file = `{"results":{"tool":{"name":"t"},"summary":{"tests":1,"passed":1},"tests":[{"name":"a","status":"passed","duration":1}],"environment":{"commit":%s}}}`
	for i, commit := range []string{"HEAD", "--output=x", "main", "abc", "1234567 ", "\x1b[2J", "12345678\n::error::x", strings.Repeat("a", 65)} {
		db := fmt.Sprintf("%d.db", i)
		text, err := json.Marshal(commit)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("ctrf.json", fmt.Appendf(nil, file, text), 0o644); err != nil {
			t.Fatal(err)
		}
		command(cli.ExitUsage, "ingest", "--db", db, "--commit", commit, "ctrf.json")
		if said := command(cli.ExitHeld, "ingest", "--db", db, "ctrf.json"); !strings.Contains(said, "its commit is left out") {
			t.Errorf("%q: printed %s", commit, said)
		}
		if got := commits(db); len(got) != 1 || got[0] != "" {
			t.Errorf("%q is recorded as %q", commit, got)
		}
		other := "other" + db
		h, err := history.Open(t.Context(), other)
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.Append(t.Context(), reports.Run{Commit: commit, Started: time.Unix(int64(i)+1, 0), Suites: specsOf("..", false), Complete: true})
		if err := errors.Join(err, h.Close()); err != nil {
			t.Fatal(err)
		}
		if said := command(cli.ExitFault, "history", "merge", other, "--db", db); !strings.Contains(said, "is not a commit") {
			t.Errorf("merge of %q: printed %s", commit, said)
		}
		if got := commits(db); len(got) != 1 {
			t.Errorf("%q was merged: %q", commit, got)
		}
	}
	if err := os.WriteFile("ctrf.json", fmt.Appendf(nil, file, `"ABCDEF1"`), 0o644); err != nil {
		t.Fatal(err)
	}
	command(cli.ExitHeld, "ingest", "--db", "good.db", "ctrf.json")
	if got := commits("good.db"); len(got) != 1 || got[0] != "abcdef1" {
		t.Errorf("recorded as %q", got)
	}
}

// The annotations for GitHub are the only commands in the output of run. A name or a message of a
// test cannot be a command, or get into the fields of one.
func TestAnnotationsOfRunHoldNoTextThatActs(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for name, value := range map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": dir, "GITHUB_STEP_SUMMARY": filepath.Join(dir, "summary.md"), "CI": "true", "GITLAB_CI": "", "TF_BUILD": ""} {
		t.Setenv(name, value)
	}
	var list strings.Builder
	for _, text := range hostile {
		fmt.Fprintf(&list, "\t%q,\n", text)
	}
	for name, text := range map[string]string{
		"go.mod":          "module example.com/shop\n\ngo 1.24\n",
		"shop/it_test.go": "package shop\n\nimport (\n\t\"fmt\"\n\t\"testing\"\n)\n\nfunc TestShop(t *testing.T) {\n\tfor _, text := range []string{\n" + list.String() + "\t} {\n\t\tt.Run(text, func(t *testing.T) {\n\t\t\tfmt.Println(text)\n\t\t\tt.Error(text)\n\t\t})\n\t}\n}\n",
		"late/it_test.go": "package late\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(m *testing.M) {\n\tm.Run()\n\tfor _, text := range []string{\n" + list.String() + "\t} {\n\t\tprintln(text)\n\t}\n\tos.Exit(1)\n}\n\nfunc TestLate(t *testing.T) {}\n",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs strings.Builder
	if code := run(t.Context(), []string{"run", "--no-measure"}, strings.NewReader(""), &out, &errs); code != cli.ExitBroken {
		t.Fatalf("exit %d: %s%s", code, out.String(), errs.String())
	}
	own := regexp.MustCompile(`^::(error|warning|notice) (file=(shop|late)/it_test\.go,line=\d+,)?title=[^\r\n]*::`)
	groups := regexp.MustCompile(`^::(group::✗ \./(shop|late)  [^\r\n]*|endgroup::)\n$`) // groups of --format github
	annotations := 0
	summary, err := os.ReadFile("summary.md")
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"stdout": out.String(), "stderr": errs.String(), "summary": string(summary)} {
		for line := range strings.Lines(text) {
			if what != "summary" && own.MatchString(line) {
				annotations++
				line = line[2:]
			}
			if what == "stderr" && groups.MatchString(line) {
				line = line[2:]
			}
			if m := obeyed.FindString(line); m != "" {
				t.Errorf("%s: %q acts in %q", what, m, line)
			}
		}
	}
	if annotations < 5 {
		t.Errorf("only %d annotations: %s", annotations, out.String())
	}
}
