package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// advisedCall matches a call of the program in the text of a message.
var advisedCall = regexp.MustCompile(`flujo-harness ((?:run|bench|merge|ingest|report|serve|bisect|history|gate|quarantine|compare|cost|calibrate|runs|trace|selftest|doctor|init)\b[^\n;:,()"'` + "`" + `]*)`)

// Every call of the program in a message names an existing command and its flags.
func TestAdviceCallsWhatThereIs(t *testing.T) {
	calls := 0
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && (name == "testdata" || name == "templates" || name == "sample" || strings.HasPrefix(name, ".") && path != root || name == "peers" || name == "worker"):
			return skipOr(nil)
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			for _, m := range advisedCall.FindAllStringSubmatch(text, -1) {
				calls++
				if problem := adviceProblem(m[1]); problem != "" {
					t.Errorf("%s: %q: flujo-harness %s: %s", path, text, m[1], problem)
				}
			}
			return true
		})
		return nil
	})
	if err != nil || calls < 50 {
		t.Errorf("%d calls found, error %v", calls, err)
	}
}

// adviceProblem returns what is wrong with a call, or "".
func adviceProblem(call string) string {
	call, _, _ = strings.Cut(call+" ", ". ") // a sentence ends there
	words := strings.Fields(call)
	cmd, _, err := command().Find(words)
	if err != nil || !cmd.HasParent() {
		return "there is no such command"
	}
	for _, word := range words {
		name, ok := strings.CutPrefix(word, "--")
		name, _, _ = strings.Cut(name, "=")
		if name = strings.TrimRight(name, "."); ok && name == "" {
			return "" // flags of another program follow
		}
		if ok && name != "help" && cmd.Flags().Lookup(name) == nil && cmd.InheritedFlags().Lookup(name) == nil {
			return "it has no flag --" + name
		}
	}
	return ""
}

func TestAdviceProblemsAreFound(t *testing.T) {
	for call, want := range map[string]string{
		"run --no-measure":            "",
		"run ./... -- --race":         "",
		"compare main --workload all": "it has no flag --workload",
		"history prune --keep 3":      "",
		"history --nope":              "it has no flag --nope",
		"calibrate. Not by hand":      "",
		"calibrate.":                  "",
	} {
		if got := adviceProblem(call); got != want {
			t.Errorf("%s: %q, want %q", call, got, want)
		}
	}
}
