package runner

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/flujo/flujo-harness/reports/ingest"
)

// Before Go 1.24, go test prints the errors of a failed build to stderr. They are read with the events.
func TestBuildsOfOlderGo(t *testing.T) {
	const passed = `{"Action":"run","Package":"m/a","Test":"TestA"}` + "\n" + `{"Action":"pass","Package":"m/a","Test":"TestA"}` + "\n" + `{"Action":"output","Package":"m/a","Output":"PASS\n"}` + "\n" + `{"Action":"pass","Package":"m/a"}` + "\n"
	const said = "go: downloading example.com/n v1.0.0\n# m/b [m/b.test]\nb/b_test.go:3:28: undefined: x"
	for name, out := range map[string]string{"alone": "FAIL\tm/b [build failed]\n", "with another": passed + "FAIL\tm/b [build failed]\n"} {
		dir := t.TempDir()
		events, log := filepath.Join(dir, "events"), filepath.Join(dir, "log")
		for path, text := range map[string]string{events: out, log: said} {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := addBuilds(events, log); err != nil {
			t.Fatal(err)
		}
		r, err := ingest.ReadFile(events, "")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := "# m/b [m/b.test]\nb/b_test.go:3:28: undefined: x\nFAIL\tm/b [build failed]"
		for _, s := range r.Results.Suites {
			if s.Path == "m/b" && len(s.Failures) == 1 && s.Failures[0].Message == want {
				want = ""
			}
		}
		if want != "" {
			t.Errorf("%s: %+v", name, r.Results)
		}
	}

	// If no build failed, stderr is not part of the results.
	dir := t.TempDir()
	events, log := filepath.Join(dir, "events"), filepath.Join(dir, "log")
	if err := os.WriteFile(events, []byte(passed), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(log, []byte("FAIL\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := addBuilds(events, log); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(events); string(text) != passed {
		t.Errorf("%s, %v", text, err)
	}
}
