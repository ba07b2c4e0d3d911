package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "github.com/flujo/flujo-harness/"
	// Split, because the ginkgo command considers any test file that contains the whole path a
	// suite.
	dsl = "github.com/onsi/" + "ginkgo/v2"
)

// mayImport lists the top-level folders of this module that each of them may import. Imports run
// one way.
var mayImport = map[string][]string{
	"core":       {"core"},
	"stubs":      {"core", "stubs"},
	"harness":    {"core", "stubs", "harness"},
	"thresholds": {"core", "stubs", "harness", "thresholds"},
	"reports":    {"core", "stubs", "harness", "thresholds", "reports"},
	"suites":     {"core", "stubs", "harness", "thresholds", "suites"},
	"cmd":        {"core", "stubs", "harness", "thresholds", "reports", "cmd"},
}

// rooms restricts imports within a top-level folder: it lists the packages of the same folder
// that the source files of a package may import. A package that is not listed may import any.
// Tests are not restricted.
var rooms = map[string][]string{
	"core":                                 {"core/internal/codec"},
	"core/internal/codec":                  nil,
	"core/corebench":                       {"core"},
	"core/sqlite":                          {"core", "core/sqlite/internal/probe", "core/sqlite/internal/walvfs", "core/sqlite/sqlitedb"},
	"core/sqlite/internal/probe":           nil,
	"core/sqlite/internal/shim":            nil,
	"core/sqlite/internal/walvfs":          {"core/sqlite/internal/shim"},
	"core/sqlite/sqlitebench":              {"core", "core/corebench", "core/sqlite", "core/sqlite/internal/probe", "core/sqlite/internal/shim", "core/sqlite/sqlitedb"},
	"core/sqlite/sqlitedb":                 {"core", "core/sqlite/internal/locks"},
	"core/postgres":                        {"core", "core/postgres/internal/probe"},
	"core/postgres/internal/probe":         nil,
	"core/postgres/postgresbench":          {"core", "core/corebench", "core/postgres", "core/postgres/internal/probe"},
	"core/postgres/pgserver":               nil,
	"core/coretest":                        {"core"},
	"reports":                              nil,
	"reports/internal/text":                {"reports"},
	"reports/ingest":                       {"reports", "reports/internal/text"},
	"reports/history":                      {"reports"},
	"reports/store":                        {"reports", "reports/history"},
	"reports/store/postgres":               {"reports/store"},
	"reports/store/storetest":              {"reports", "reports/history", "reports/store"},
	"reports/quarantine":                   {"reports"},
	"reports/analysis":                     {"reports", "reports/internal/text", "reports/history", "reports/quarantine"},
	"reports/render":                       {"reports", "reports/internal/text", "reports/history", "reports/ingest", "reports/live", "reports/analysis"},
	"reports/live":                         {"reports", "reports/internal/text"},
	"reports/runner":                       {"reports", "reports/internal/text", "reports/ingest", "reports/live"},
	"harness/instructions":                 {"harness/workdir"},
	"harness/machine":                      nil,
	"harness/child":                        nil,
	"harness/workdir":                      nil,
	"stubs":                                {"stubs/redact"},
	"stubs/cassette":                       {"stubs", "stubs/redact"},
	"stubs/provider":                       {"stubs"},
	"stubs/redact":                         nil,
	"cmd/flujo-harness/internal/cli":       nil,
	"cmd/flujo-harness/internal/ci":        nil,
	"cmd/flujo-harness/internal/project":   {"cmd/flujo-harness/internal/ci"},
	"cmd/flujo-harness/internal/backends":  {"cmd/flujo-harness/internal/project"},
	"cmd/flujo-harness/internal/measure":   {"cmd/flujo-harness/internal/cli", "cmd/flujo-harness/internal/project"},
	"cmd/flujo-harness/internal/revisions": {"cmd/flujo-harness/internal/cli", "cmd/flujo-harness/internal/project"},
	"cmd/flujo-harness/internal/compare":   {"cmd/flujo-harness/internal/bisect", "cmd/flujo-harness/internal/cli", "cmd/flujo-harness/internal/project", "cmd/flujo-harness/internal/publish", "cmd/flujo-harness/internal/revisions"},
	"cmd/flujo-harness/internal/complete":  {"cmd/flujo-harness/internal/cli", "cmd/flujo-harness/internal/project", "cmd/flujo-harness/internal/records"},
	"cmd/flujo-harness/internal/records":   {"cmd/flujo-harness/internal/cli", "cmd/flujo-harness/internal/project", "cmd/flujo-harness/internal/measure", "cmd/flujo-harness/internal/revisions"},
	"cmd/flujo-harness/internal/gate":      {"cmd/flujo-harness/internal/cli", "cmd/flujo-harness/internal/project", "cmd/flujo-harness/internal/publish", "cmd/flujo-harness/internal/records", "cmd/flujo-harness/internal/revisions"},
	"cmd/flujo-harness/internal/bisect":    {"cmd/flujo-harness/internal/cli", "cmd/flujo-harness/internal/project", "cmd/flujo-harness/internal/records", "cmd/flujo-harness/internal/revisions"},
	"cmd/flujo-harness/internal/choose":    {"cmd/flujo-harness/internal/cli", "cmd/flujo-harness/internal/project"},
	"cmd/flujo-harness/internal/publish":   {"cmd/flujo-harness/internal/ci", "cmd/flujo-harness/internal/cli", "cmd/flujo-harness/internal/project"},
	"cmd/flujo-harness/internal/inspect":   {"cmd/flujo-harness/internal/backends", "cmd/flujo-harness/internal/cli", "cmd/flujo-harness/internal/project"},
	"cmd/flujo-harness/internal/scaffold":  {"cmd/flujo-harness/internal/cli", "cmd/flujo-harness/internal/project"},
	"cmd/flujo-harness/internal/selftest":  {"cmd/flujo-harness/internal/cli", "cmd/flujo-harness/internal/project", "cmd/flujo-harness/internal/measure", "cmd/flujo-harness/internal/compare", "cmd/flujo-harness/internal/revisions"},
}

// listsBackends are the files outside core that may name a backend. Measurements use
// core/corebench, and commands that read runs use a small interface.
var listsBackends = []string{"harness/backends.go", "cmd/flujo-harness/internal/backends/backends.go"}

// backendProblem returns why a file of the harness or of the commands may not import a backend.
// It allows core/sqlite/sqlitedb, which opens other databases than those of runs.
func backendProblem(file, imported string, isTest bool) string {
	is := func(name string) bool { return imported == name || strings.HasPrefix(imported, name+"/") }
	if isTest || slices.Contains(listsBackends, file) || imported == "core/sqlite/sqlitedb" ||
		!strings.HasPrefix(file, "harness/") && !strings.HasPrefix(file, "cmd/") && !strings.HasPrefix(file, "thresholds/") {
		return ""
	}
	if is("core/sqlite") || is("core/postgres") {
		return "only " + strings.Join(listsBackends, " and ") + " may name a backend: what passes coretest can be measured"
	}
	return ""
}

// importProblem returns what is wrong with one import of a file, or "".
func importProblem(file, imported string) string {
	folder, _, _ := strings.Cut(file, "/")
	isTest := strings.HasSuffix(file, "_test.go")
	switch {
	case strings.HasPrefix(imported, module):
		target, _, _ := strings.Cut(strings.TrimPrefix(imported, module), "/")
		if !slices.Contains(mayImport[folder], target) {
			return folder + " may not import " + target
		}
		if p := backendProblem(file, strings.TrimPrefix(imported, module), isTest); p != "" {
			return p
		}
		room, whole := path.Dir(file), strings.TrimPrefix(imported, module)
		if allowed, walled := rooms[room]; walled && !isTest && target == folder && whole != room && !slices.Contains(allowed, whole) {
			return room + " may not import " + whole
		}
	case strings.HasPrefix(imported, "github.com/jackc/") && !strings.HasPrefix(file, "core/postgres/") && !strings.HasPrefix(file, "core/worker/") && !strings.HasPrefix(file, "core/peers/") && !strings.HasPrefix(file, "reports/store/postgres/"):
		return "only core/postgres, reports/store/postgres, the workers and the peers may import PostgreSQL's driver: a program with another backend must not need it"
	case imported == dsl && folder != "suites":
		return "only suites may import Ginkgo's DSL: it registers flags and keeps global state"
	case filepath.ToSlash(filepath.Dir(file)) == "core" && !isTest && strings.Contains(strings.Split(imported, "/")[0], ".") &&
		!strings.HasPrefix(imported, "go.opentelemetry.io/otel/"):
		return "core itself imports only the standard library and the API of OpenTelemetry"
	}
	return ""
}

// The test reads the source files itself. With "go list", go test would not notice changed files
// and could report a cached success.
func TestImportTable(t *testing.T) {
	root := filepath.Join("..", "..")
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return skipOr(err)
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		files++
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if p := importProblem(rel, imported); p != "" {
				t.Errorf("%s imports %s: %s", rel, imported, p)
			}
		}
		return nil
	})
	if err != nil || files < 50 {
		t.Errorf("%d files read, error %v", files, err)
	}
}

func skipOr(err error) error {
	if err != nil {
		return err
	}
	return fs.SkipDir
}

// The check finds forbidden imports.
func TestImportTableFindsWhatItForbids(t *testing.T) {
	for _, tc := range []struct {
		file, imported string
		bad            bool
	}{
		{"core/run.go", module + "stubs", true},
		{"core/run.go", "modernc.org/sqlite", true},
		{"core/run_test.go", "github.com/google/go-cmp/cmp", false},
		{"core/sqlite/backend.go", "modernc.org/sqlite", false},
		{"core/sqlite/backend.go", module + "core/postgres", true},
		{"core/run.go", module + "core/postgres", true},
		{"core/sqlite/backend.go", "github.com/jackc/pgx/v5", true},
		{"harness/arm.go", "github.com/jackc/pgx/v5", true},
		{"core/postgres/backend.go", "github.com/jackc/pgx/v5", false},
		{"harness/arm.go", module + "thresholds", true},
		{"harness/arm.go", module + "core/sqlite", true},
		{"harness/arm.go", module + "core/sqlite/sqlitebench", true},
		{"harness/arm.go", module + "core/corebench", false},
		{"harness/backends.go", module + "core/sqlite/sqlitebench", false},
		{"harness/backends.go", module + "core/postgres/postgresbench", false},
		{"cmd/flujo-harness/internal/inspect/runs.go", module + "core/postgres", true},
		{"cmd/flujo-harness/internal/backends/backends.go", module + "core/postgres", false},
		{"core/sqlite/backend.go", module + "core/sqlite/sqlitebench", true},
		{"core/sqlite/backend.go", module + "core/corebench", true},
		{"thresholds/judge.go", module + "core/sqlite", true},
		{"suites/a_test.go", module + "reports", true},
		{"suites/a_test.go", dsl, false},
		{"reports/ginkgo.go", dsl, true},
		{"reports/ginkgo.go", dsl + "/types", false},
		{"util/x.go", module + "core", true},
		{"cmd/flujo-harness/run.go", module + "reports", false},
		{"cmd/flujo-harness/internal/cli/exit.go", module + "cmd/flujo-harness/internal/project", true},
		{"cmd/flujo-harness/internal/inspect/runs.go", module + "cmd/flujo-harness/internal/cli", false},
		{"reports/runner/runner.go", module + "reports/render", true},
	} {
		if got := importProblem(tc.file, tc.imported) != ""; got != tc.bad {
			t.Errorf("%s imports %s: refused %v, want %v", tc.file, tc.imported, got, tc.bad)
		}
	}
}

func TestTopLevelHoldsWhatTheDesignNames(t *testing.T) {
	allowed := []string{"LICENSE", "README.md", "cmd", "core", "go.mod", "go.sum", "harness", "reports", "stubs", "suites", "thresholds"}
	entries, err := os.ReadDir(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s is at the top level, and the design does not name it", e.Name())
		}
	}
}
