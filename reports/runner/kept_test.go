package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/live"
)

func TestMain(m *testing.M) {
	if slices.Equal(os.Args[1:], []string{"guard"}) {
		if err := child.ServeGuard(os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// keptModule has tests that pass, fail, skip and panic, by what go test does for its programs.
var keptModule = map[string]string{
	"go.mod":         "module example.com/shop\n\ngo 1.24\n",
	"cart/text.txt":  "x",
	"cart/cart.go":   "package cart\n",
	"cart/broken.go": "package cart\n", // later broken
	"cart/cart_test.go": `package cart

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	switch os.Getenv("KEPT") {
	case "3":
		os.Exit(3)
	case "0":
		os.Exit(0)
	case "printed":
		fmt.Print("no cart")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestPasses(t *testing.T) {}

func TestFails(t *testing.T) {
	t.Run("of two", func(t *testing.T) { t.Error("it fails") })
	t.Run("is there", func(t *testing.T) {})
}

func TestSkips(t *testing.T) { t.Skip("not now") }

func TestPanics(t *testing.T) { panic("the till is empty") }

func TestKilled(t *testing.T) {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	time.Sleep(time.Minute)
	t.Fatal(err)
}

func TestEnds(t *testing.T) { os.Exit(0) }

// TestPlace fails with a text that holds what go test decides about a program.
func TestPlace(t *testing.T) {
	text, err := os.ReadFile("text.txt")
	dir, _ := os.Getwd()
	first := filepath.SplitList(os.Getenv("PATH"))[0]
	tool, _ := exec.LookPath("go")
	var flags []string
	flag.Visit(func(f *flag.Flag) {
		if f.Name != "test.testlogfile" {
			flags = append(flags, f.Name+"="+f.Value.String())
		}
	})
	goroot, set := os.LookupEnv("GOROOT")
	t.Error(string(text), err, dir, os.Getenv("PWD"), first, tool, flags, testing.Short(), runtime.GOMAXPROCS(0), goroot, set)
	fmt.Println("printed")
}

func Example() {
	fmt.Println(1)
	// Output: 2
}
`,
}

// A program that go test kept gives the results that go test gives.
func TestProgramIsKept(t *testing.T) {
	for _, c := range []struct{ name, run, kept string }{
		{"results", "^(TestPasses|TestFails|TestSkips|TestPlace|Example)$", ""},
		{"one subtest", "^TestFails$/^of_two$", ""},
		{"a panic", "^TestPanics$", ""},
		{"an early exit", "^TestEnds$", ""},
		{"no test", "^TestNothing$", ""},
		{"TestMain fails", "^TestPasses$", "3"},
		{"TestMain fails with a text", "^TestPasses$", "printed"},
		{"TestMain runs nothing", "^TestPasses$", "0"},
		{"killed", "^TestKilled$", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("KEPT", c.kept)
			tests, dir := keptTests(t, c.run)
			first := runOnce(t, tests)
			if err := os.WriteFile(filepath.Join(dir, "cart", "broken.go"), []byte("package cart\n\nvar x int = \"text\"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			again := runOnce(t, tests)
			if diff := cmp.Diff(first, again); diff != "" {
				t.Errorf("by go test and by the kept program (-, +):\n%s", diff)
			}
		})
	}
}

// What affects how go test starts a program is left to go test, which builds it again.
func TestProgramIsNotKept(t *testing.T) {
	for _, c := range []struct{ name, env, value string }{
		{"a flag of the program", "GOFLAGS", "-short"},
		{"a linker flag", "GOFLAGS", "-ldflags=-X=main.x=y"},
		{"a quoted flag", "GOFLAGS", "'-tags=a b'"},
		{"coverage", "GOFLAGS", "-buildvcs=false -cover"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(c.env, c.value)
			k := &kept{file: filepath.Join(t.TempDir(), "x.test")}
			if k.find(t.Context(), t.TempDir()) {
				t.Errorf("kept with %s=%s", c.env, c.value)
			}
		})
	}
	t.Setenv("GOFLAGS", "-buildvcs=false -tags=a,b -race")
	if k := (&kept{}); !k.find(t.Context(), t.TempDir()) {
		t.Error("not kept with flags of the build alone")
	}
	for _, flags := range [][]string{{"-run=A", "-short"}, {"-run", "A"}, {"-timeout=1m"}, {"-args", "-run=A"}} {
		g := goTests{Options{}, []testPackage{{ImportPath: "m"}}, flags, &kept{}}
		if got, ok := g.forProgram(g.calls()[0]); ok {
			t.Errorf("%q: kept with %q", flags, got)
		}
	}
	two := goTests{Options{}, []testPackage{{ImportPath: "m"}, {ImportPath: "n"}}, []string{"-run=A"}, &kept{}}
	if _, ok := two.forProgram(two.calls()[0]); ok {
		t.Error("kept of two packages")
	}
}

// A build that fails is reported as such, each time.
func TestNoProgramOfABrokenBuild(t *testing.T) {
	tests, dir := keptTests(t, "^TestPasses$")
	if err := os.WriteFile(filepath.Join(dir, "cart", "broken.go"), []byte("package cart\n\nvar x int = \"text\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r := runOnce(t, tests)
		if len(r.Suites) != 1 || len(r.Suites[0].Failures) != 1 || !strings.Contains(r.Suites[0].Failures[0].Message, "broken.go:3") {
			t.Fatalf("%+v", r)
		}
	}
}

// keptTests returns the tests of a copy of keptModule, whose program is kept, and its folder.
func keptTests(t *testing.T, run string) (tests *Tests, dir string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range keptModule {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	tests, err = Find(t.Context(), Options{Root: dir, Packages: []string{"./cart"}, Flags: []string{"-run=" + run},
		Guard: []string{exe, "guard"}, Program: filepath.Join(t.TempDir(), "kept.test"+child.Suffix())})
	if err != nil {
		t.Fatal(err)
	}
	return tests, dir
}

// unstable matches numbers of goroutines, addresses and durations.
var unstable = regexp.MustCompile(`(goroutine )\d+|0x[0-9a-f]+\??|\t[0-9.]+s$`)

// runOnce returns the results of a run without times.
func runOnce(t *testing.T, tests *Tests) reports.Results {
	t.Helper()
	_, out, err := tests.Repeat(context.Background(), 1, func(live.News) {})
	if err != nil || out.Results == nil {
		t.Fatal(err, out.Problem)
	}
	r := *out.Results
	for i := range r.Specs {
		s := &r.Specs[i]
		s.Duration, s.Message = 0, unstable.ReplaceAllString(s.Message, "$1")
	}
	for i := range r.Suites {
		s := &r.Suites[i]
		s.Duration, s.Started = 0, time.Time{}
		for k := range s.Failures {
			s.Failures[k].Message = unstable.ReplaceAllString(s.Failures[k].Message, "$1")
		}
	}
	return r
}
