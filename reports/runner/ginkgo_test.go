package runner

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/harness/child"
	"github.com/google/go-cmp/cmp"
)

// Misuse is recognised by messages of Ginkgo. This test searches Ginkgo's source for them, so that it
// fails if a new version changes them.
func TestMessagesOfGinkgo(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", ginkgoPackage).Output()
	if err != nil {
		t.Fatal(child.Explained(err))
	}
	for file, words := range map[string]string{
		"ginkgo/internal/verify_version.go": "Ginkgo detected a version mismatch",
		"ginkgo/internal/compile.go":        "Failed to compile ",
		"ginkgo/internal/test_suite.go":     "Suite did not run because",
		"ginkgo/run/run_command.go":         "Ginkgo detected configuration issues",
		"types/errors.go":                   "calling RunSpecs more than once",
	} {
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), filepath.FromSlash(file)))
		if err != nil || !strings.Contains(string(text), words) {
			t.Errorf("%s does not contain %q (%v): adapt hints, refused, plainer and notRun", file, words, err)
		}
	}
}

// Different versions are unlikely, because run builds the command that go.mod requires. This tests the
// hint for that case only.
func TestHints(t *testing.T) {
	log := filepath.Join(t.TempDir(), "ginkgo.log")
	said := "Ginkgo detected a version mismatch between the Ginkgo CLI and the version of Ginkgo imported by your packages:\n  Ginkgo CLI Version:\n    2.34.0\n"
	if err := os.WriteFile(log, []byte(said), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{"the command and the package of Ginkgo have different versions: is there a go.work or a second go.mod? Require one version in all of them"}
	if diff := cmp.Diff(want, hints(log)); diff != "" {
		t.Error(diff)
	}
}

// In a package with a suite, tests that run its specs are distinguished from other tests.
func TestTestsBesideTheSpecsAreFound(t *testing.T) {
	const (
		head   = "package a\n\nimport (\n\t\"testing\"\n\n\t. \"github.com/onsi/ginkgo/v2\"\n)\n\n"
		entry  = "func TestA(t *testing.T) { RunSpecs(t, \"A\") }\n"
		helped = "func TestA(t *testing.T) { runSpecs(t) }\n\nfunc TestB(t *testing.T) {}\n"
	)
	for name, test := range map[string]struct {
		source         string
		entries, plain []string
	}{
		"specs alone":               {entry + "\nfunc TestMain(m *testing.M) {}\n\nfunc Testify() {}\n\nfunc ExampleX() {}\n", []string{"TestA"}, nil},
		"a test":                    {entry + "\nfunc TestB(t *testing.T) {}\n", []string{"TestA"}, []string{"TestB"}},
		"a fuzz test":               {entry + "\nfunc FuzzB(f *testing.F) {}\n", []string{"TestA"}, []string{"FuzzB"}},
		"an example with an output": {entry + "\nfunc ExampleX() {\n\t// Output: x\n}\n", []string{"TestA"}, []string{"ExampleX"}},
		"a helper runs the specs":   {helped, []string{"TestA", "TestB"}, nil},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a_test.go"), []byte(head+test.source), 0o600); err != nil {
			t.Fatal(err)
		}
		pkg := testPackage{Dir: dir, TestGoFiles: []string{"a_test.go"}, suite: "a"}
		entries, plain := pkg.tests()
		if diff := cmp.Diff(test.entries, entries) + cmp.Diff(test.plain, plain); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		pkg.suite = ""
		if entries, plain := pkg.tests(); entries != nil || len(plain) != len(test.entries)+len(test.plain) {
			t.Errorf("%s, without a suite: %q, %q", name, entries, plain)
		}
	}
}

func TestFlagsForGoTest(t *testing.T) {
	got := forGoTest([]string{"-p", "--race", "--tags=a,b", "-timeout", "3m", "--label-filter", "slow", "--", "-trimpath"})
	if diff := cmp.Diff([]string{"-tags=a,b", "-timeout=3m", "--race"}, got); diff != "" {
		t.Error(diff)
	}
}
