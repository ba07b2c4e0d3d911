package main

import (
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/ingest"
)

// The trial with suites of other projects. It needs the module proxy, and takes about 5 minutes:
//
//	go test ./cmd/flujo-harness -run TestForeign -foreign -v -timeout 20m
//
// Each module is run as it was released. Some specs fail in a copy of a module, without a network
// or without git. Therefore the trial does not require that they pass, but that the recorded
// results are those that the runner reports, with and without flujo-harness.
var runForeign = flag.Bool("foreign", false, "run the suites of public modules from the module proxy")

func TestForeignGinkgoSuites(t *testing.T) {
	for _, module := range []string{
		"github.com/onsi/gomega@v1.38.0", // later releases do not contain their tests
		"github.com/containernetworking/cni@v1.3.1",
	} {
		t.Run(module, func(t *testing.T) {
			dir := released(t, module)
			run := byGinkgo(t, foreignRun(t, dir))
			log, err := os.ReadFile(filepath.Join(dir, ".flujo", "ginkgo.log"))
			if err != nil {
				t.Fatal(err)
			}
			// Ginkgo prints for each suite: "[1795602973] GHTTP Suite - 85/85 specs".
			suites, specs := 0, 0
			for _, said := range regexp.MustCompile(`(?m)^\[\d+\] .* - \d+/(\d+) specs`).FindAllStringSubmatch(string(log), -1) {
				n, err := strconv.Atoi(said[1])
				if err != nil {
					t.Fatal(err)
				}
				suites, specs = suites+1, specs+n
			}
			if c := run.Counts(); c.All() != specs || len(run.Suites) != suites || specs == 0 {
				t.Errorf("recorded: %d specs of %d suites; Ginkgo says: %d of %d", c.All(), len(run.Suites), specs, suites)
			}
			compareRuns(t, run, ginkgoAlone(t, dir))
		})
	}
}

func TestForeignGoTests(t *testing.T) {
	dir := released(t, "github.com/google/go-cmp@v0.7.0")
	run := foreignRun(t, dir)
	out, err := inside(dir, "go", "test", "-v", "-count=1", "./...").Output()
	if err != nil {
		t.Fatal(child.Explained(err))
	}
	// Output of go test. A test with subtests does not count as a spec.
	names := regexp.MustCompile(`(?m)^\s*--- PASS: (\S+) `).FindAllStringSubmatch(string(out), -1)
	leaves := 0
	for _, name := range names {
		if !strings.Contains(string(out), "--- PASS: "+name[1]+"/") {
			leaves++
		}
	}
	if c := run.Counts(); c.Passed != leaves || c.All() != leaves || leaves == 0 {
		t.Errorf("recorded: %+v; go test says that %d tests without subtests passed", c, leaves)
	}
}

// released copies a released module to a writable folder.
func released(t *testing.T, module string) string {
	t.Helper()
	if !*runForeign {
		t.Skip("-foreign runs the suites of " + module)
	}
	var download struct{ Dir, Error string }
	out, err := exec.Command("go", "mod", "download", "-json", module).Output()
	if err := json.Unmarshal(out, &download); err != nil || download.Error != "" {
		t.Fatalf("download %s: %v %s", module, err, download.Error)
	}
	if err != nil {
		t.Fatal(child.Explained(err))
	}
	dir := filepath.Join(t.TempDir(), "module")
	if err := os.CopyFS(dir, os.DirFS(download.Dir)); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		return os.Chmod(path, info.Mode().Perm()|0o200)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// inside returns a command that runs in a folder, without the CI variables of this test.
func inside(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GITHUB_ACTIONS=", "GITHUB_STEP_SUMMARY=")
	return cmd
}

// foreignRun runs flujo-harness in the module and returns what it recorded.
func foreignRun(t *testing.T, dir string) *reports.Results {
	t.Helper()
	began := time.Now()
	out, err := inside(dir, "flujo-harness", "run", "--no-measure", "--json", "results.json").CombinedOutput()
	if err != nil && !strings.HasPrefix(err.Error(), "exit status 1") {
		t.Fatalf("%v\n%s", err, out)
	}
	file, err := records.ReadPart(filepath.Join(dir, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	run := file.Suites.Runs[0]
	c := run.Counts()
	t.Logf("%d suites, %d specs: %d passed, %d failed, %d skipped, %d pending; %.0f s", len(run.Suites), c.All(), c.Passed, c.Failed, c.Skipped, c.Pending, time.Since(began).Seconds())
	if n := run.SuiteFailures(); n > 0 {
		t.Errorf("%d failures outside the specs\n%s", n, out)
	}
	return run
}

// byGinkgo returns the run without the tests that go test ran in addition to the specs, which
// Ginkgo does not report.
func byGinkgo(t *testing.T, run *reports.Results) *reports.Results {
	t.Helper()
	specs, plain := &reports.Results{}, map[string]int{}
	for _, s := range run.Specs {
		if slices.Contains(s.Labels, reports.ByGoTest) {
			plain[s.Suite]++
		} else {
			specs.Specs = append(specs.Specs, s)
		}
	}
	for _, s := range run.Suites {
		if plain[s.Path] == 0 {
			specs.Suites = append(specs.Suites, s)
		}
	}
	if len(plain) > 0 {
		t.Logf("of them by go test, in addition to the specs, by package: %v", plain)
	}
	return specs
}

// ginkgoAlone runs the same Ginkgo command on the same suites without flujo-harness.
func ginkgoAlone(t *testing.T, dir string) *reports.Results {
	t.Helper()
	path := filepath.Join(t.TempDir(), "alone.json")
	cmd := inside(dir, filepath.Join(".flujo", "bin", "ginkgo"), "run", "-r", "--keep-going", "--json-report=alone.json", "--output-dir="+filepath.Dir(path))
	if out, err := cmd.CombinedOutput(); err != nil && cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []types.Report
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(r types.Report) bool { return len(r.SpecReports) == 0 }) // packages without a suite
	if text, err = json.Marshal(all); err != nil {
		t.Fatal(err)
	}
	alone, err := ingest.ReadGinkgo(strings.NewReader(string(text)), dir)
	if err != nil {
		t.Fatal(err)
	}
	return alone
}

// compareRuns requires the same specs in both, and logs which differ in their state. Specs that
// depend on time may differ on a busy machine.
func compareRuns(t *testing.T, ours, alone *reports.Results) {
	t.Helper()
	states := map[string]reports.State{}
	for i := range alone.Specs {
		states[alone.Specs[i].Key()] = alone.Specs[i].State
	}
	for i := range ours.Specs {
		s := &ours.Specs[i]
		state, ok := states[s.Key()]
		switch {
		case !ok:
			t.Errorf("only with flujo-harness: %s", s.Name())
		case state != s.State:
			t.Logf("%s with flujo-harness, %s without: %s", s.State, state, s.Name())
		}
		delete(states, s.Key())
	}
	for key := range states {
		t.Errorf("only without flujo-harness: %s", key)
	}
}
