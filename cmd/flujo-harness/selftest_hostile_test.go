package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
)

// hostileTexts returns 200 texts that try to execute code, to make requests, to break out of
// their context, to control a terminal, or to be commands to a CI service or formulas in a
// spreadsheet.
func hostileTexts() (all []string) {
	for i := range 10 {
		for _, form := range []string{
			"<script>hit(%d)</script>", "</title></pre><script>hit(%d)</script>", "<img src=x onerror=hit(%d)>", "\" autofocus onfocus=\"hit(%d)", "' onmouseover='hit(%d)",
			"javascript:hit(%d)", "<iframe src=http://attack.invalid/%d>", "<link rel=stylesheet href=http://attack.invalid/%d>", "<form action=http://attack.invalid/%d>", "{{hit %d}}",
			"\x1b[31m%d\x1b[2J\x1b[0m", "\x1b]8;;http://attack.invalid/%d\x07link\x1b]8;;\x07", "\u202e%d\u2066\u200f\u061c", "\u009b2J%d\x00\x7f\x08", "a\r%d\u2028b\x0b\x0c",
			"\n::error file=x::%d", "=cmd|' /C calc'!A%d", "\n# EOF\nx %d", "```\n%d\n![x](http://attack.invalid/)", "a,\"%d\"\n@SUM(1)",
		} {
			all = append(all, fmt.Sprintf(form, i))
		}
	}
	return all
}

// canaries are invented secrets, concatenated so that secret scanners do not report them.
var canaries = []string{"sk-" + "proj-canary0abcdefghij1234567890", "ghp_" + "canary1abcdefghij1234567890", "hunter2-canary2-hunter2"}

// actsOnTerminal matches characters that a terminal interprets, except for tabs and line endings.
var actsOnTerminal = regexp.MustCompile("[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

// runHere runs the program in this process and checks its output.
func runHere(t *testing.T, code int, args ...string) string {
	t.Helper()
	var out, said bytes.Buffer
	if got := run(t.Context(), args, strings.NewReader(""), &out, &said); got != code {
		t.Fatalf("%q: exit %d, want %d: %.500s", args, got, code, said.String())
	}
	text := out.String() + said.String()
	if m := actsOnTerminal.FindString(text); m != "" {
		t.Errorf("%.80q tells a terminal %q", args, m)
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "::") {
			t.Errorf("%.80q speaks to a CI service: %.100s", args, line)
		}
	}
	return text
}

// ingested adds two runs with these names and messages, and writes the report of the second in
// every form.
func ingested(t *testing.T, dir string, texts []string) {
	t.Helper()
	for i, status := range []string{"passed", "failed"} {
		type test map[string]any
		var tests []test
		for n, text := range texts {
			one := test{"name": fmt.Sprint(n, " ", text), "status": status, "duration": 1, "suite": text, "filePath": text, "tags": []string{text}}
			if status == "failed" {
				one["message"] = text + " API_KEY=" + canaries[0] + " " + canaries[1] + " password: \"" + canaries[2] + "\""
				one["trace"] = one["message"]
			}
			tests = append(tests, one)
		}
		data, err := json.Marshal(map[string]any{"results": map[string]any{"tool": map[string]any{"name": "t"}, "tests": tests}})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, fmt.Sprint(i, ".json"))
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		runHere(t, 0, "ingest", file, "--commit", fmt.Sprintf("%040d", i), "--run-id", fmt.Sprint("run ", i))
		if err := os.Remove(file); err != nil { // it contains the canaries
			t.Fatal(err)
		}
	}
	runHere(t, 0, "report", "-v", "--out", "out", "--html", "r.html", "--md", "r.md", "--json", "r.json", "--junit", "r.xml", "--ctrf", "r.ctrf",
		"--openmetrics", "r.txt", "--badge", "r.svg", "--csv", "r.csv")
	runHere(t, 0, "history")
}

// 200 hostile texts next to secrets, in every name and message of a run of tests, have no effect
// in any output, and no secret gets into any file.
func TestHostileTextsInEveryReport(t *testing.T) {
	texts := hostileTexts()
	if len(texts) != 200 {
		t.Fatalf("%d texts, want 200", len(texts))
	}
	tame, hostile := t.TempDir(), t.TempDir()
	t.Chdir(tame)
	plain := make([]string, len(texts))
	for i := range plain {
		plain[i] = fmt.Sprint("text ", i)
	}
	ingested(t, tame, plain)
	t.Chdir(hostile)
	ingested(t, hostile, texts)
	files := 0
	err := filepath.WalkDir(hostile, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		for _, c := range canaries {
			if bytes.Contains(data, []byte(c)) {
				t.Errorf("%s holds the secret %s", path, c)
			}
		}
		return err
	})
	if err != nil || files < 10 {
		t.Fatalf("%d files, %v", files, err)
	}
	for _, name := range []string{"r.html", "r.md", "r.xml", "r.txt", "r.svg", "r.csv", "out/index.html"} {
		data, err := os.ReadFile(filepath.Join(hostile, name))
		if err != nil {
			t.Fatal(err)
		}
		if m := actsOnTerminal.Find(data); m != nil {
			t.Errorf("%s has %q", name, m)
		}
	}
	// Quotes in texts are escaped, so this matches attributes only.
	fetches := regexp.MustCompile(`(?i)\s(?:src|href|action)\s*=\s*["']\s*(?:https?:|//|javascript:)`)
	for _, name := range []string{"r.html", "out/index.html"} {
		was, err1 := os.ReadFile(filepath.Join(tame, name))
		now, err2 := os.ReadFile(filepath.Join(hostile, name))
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		for _, tag := range []string{"<script", "<img", "<iframe", "<form", "<link", "<base", "<object", "<embed", "<meta"} {
			if got, want := bytes.Count(now, []byte(tag)), bytes.Count(was, []byte(tag)); got != want {
				t.Errorf("%s has %d of %s, %d with names that are tame", name, got, tag, want)
			}
		}
		if got, want := len(fetches.FindAll(now, -1)), len(fetches.FindAll(was, -1)); got != want {
			t.Errorf("%s fetches %d times, %d with names that are tame", name, got, want)
		}
	}
}

// The same for every name and text in the runs of an engine.
func TestHostileTextsOfRuns(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	b, err := sqlite.Open(t.Context(), "r.db", sqlite.Process)
	if err != nil {
		t.Fatal(err)
	}
	w := newBench(b)
	texts := hostileTexts()
	for _, text := range texts {
		name := strings.NewReplacer("/", "|", "#", "|").Replace(text)
		p, err := core.New("p"+text, core.Step("s"+name, core.Func[string, string](func(context.Context, core.Request[string]) (string, error) { return text, nil }),
			topic, func(a *article, out string) { a.Notes = out }),
			core.Step("t"+name, core.Func[string, string](func(context.Context, core.Request[string]) (string, error) { return "", errors.New(text) }),
				topic, func(*article, string) {}))
		if err != nil {
			t.Fatal(err)
		}
		if res, err := core.Run(t.Context(), w.Engine, p, core.RunKey{Tenant: text, Run: text}, article{Topic: text}); res.Status != core.Failed {
			t.Fatalf("%q: %v, %v", text, res.Status, err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	list := runHere(t, 0, "runs", "--db", "r.db", "--limit", "0")
	if n := len(regexp.MustCompile(`(?m) failed +\d{4}-`).FindAllString(list, -1)); n != len(texts) {
		t.Errorf("%d runs are listed", n)
	}
	runHere(t, 0, "runs", "--db", "r.db", "--limit", "0", "--json")
	for i, text := range texts {
		of := []string{"--db", "r.db", "--tenant", text, "--", text}
		runHere(t, 0, append([]string{"trace", "--output", "--states"}, of...)...)
		if i >= 20 {
			continue // by then each form has occurred
		}
		runHere(t, 0, append([]string{"trace", "--json", "--output", "--states"}, of...)...)
		runHere(t, 2, append([]string{"trace"}, "--db", "r.db", "--", "no "+text)...)
	}
}
