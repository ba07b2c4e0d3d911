package selftest

import (
	"go/format"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
	"github.com/google/go-cmp/cmp"
)

func TestLoopsOfBenchmarksAreMadeLonger(t *testing.T) {
	const before = `package p

func BenchmarkA(b *testing.B) {
	for i := 0; i < b.N; i++ {
		for j := 0; j < 3; j++ { work() }
	}
	b.Run("x", func(b *testing.B) {
		for range b.N { work() }
	})
}

func BenchmarkB(b *testing.B) {
	for b.Loop() { work() }
	for n := 1; n <= b.N; n++ { work() }
}

func TestC(t *testing.T) { for i := 0; i < t.Count; i++ { work() } }
`
	const after = `package p

func BenchmarkA(b *testing.B) {
	for i, changedN := 0, int(int64(b.N)*changedShare615f746573742e676f/100000); i < changedN; i++ {
		for j := 0; j < 3; j++ { work() }
	}
	b.Run("x", func(b *testing.B) {
		for range int(int64(b.N)*changedShare615f746573742e676f/100000) { work() }
	})
}

func BenchmarkB(b *testing.B) {
	for b.Loop() { work() }
	for n := 1; n <= b.N; n++ { work() }
}

func TestC(t *testing.T) { for i := 0; i < t.Count; i++ { work() } }

var changedShare615f746573742e676f = int64(102500)
`
	changed, in, err := lengthen("a_test.go", []byte(before), 2.5)
	if diff := cmp.Diff(after, string(changed)); err != nil || diff != "" || !slices.Equal(in, []string{"BenchmarkA"}) {
		t.Errorf("functions %v, error %v, text (-want +got)\n%s", in, err, diff)
	}
	if _, _, err := lengthen("a_test.go", []byte("package"), 1); err == nil {
		t.Error("what is no Go source was made longer")
	}
}

// Two shares give the same program except for the number, so that the change does not include a
// change of the loop's code.
func TestLongerLoopsAreTheSameCode(t *testing.T) {
	if testing.Short() {
		t.Skip("builds two programs")
	}
	const program = `package main

import "os"

type counter struct{ N int }

func work(x int) int { return x*7 + 3 }

func main() {
	b := &counter{len(os.Args)}
	kept := 0
	for i := 0; i < b.N; i++ {
		kept = work(kept)
	}
	os.Exit(kept)
}
`
	var built [2][]byte
	dir := t.TempDir() // the same folder for both, because a program contains the path of its source
	for i, percent := range []float64{0, 2} {
		text, in, err := lengthen("main.go", []byte(program), percent)
		if err != nil || len(in) != 1 {
			t.Fatalf("longer %v, error %v", in, err)
		}
		path, out := filepath.Join(dir, "main.go"), filepath.Join(dir, "built")
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		if said, err := exec.Command("go", "build", "-ldflags=-buildid=", "-o", out, path).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		if built[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if len(built[0]) != len(built[1]) {
		t.Fatalf("%d and %d bytes", len(built[0]), len(built[1]))
	}
	differ := 0
	for i := range built[0] {
		if built[0][i] != built[1][i] {
			differ++
		}
	}
	if differ == 0 || differ > 8 {
		t.Errorf("the programs differ in %d bytes; the share is one number of 8", differ)
	}
}

// A change removes the previous one, and each change differs from the others.
func TestChangesOfSourcesAreUndoneByTheNext(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{"p.go": "//go:build linux\n\npackage p\n", "p_test.go": "package p\nfunc BenchmarkA(b *testing.B) { for i := 0; i < b.N; i++ {} }\n"}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	read := func() map[string]string {
		all := map[string]string{}
		paths, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.Base(path)] = string(text)
		}
		return all
	}
	s, err := readSources(map[string]string{dir: "p"})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for seed := range uint64(3) {
		if longer, err := s.change(injection{slower: 1}, seed); err != nil || !slices.Equal(longer, []string{"BenchmarkA"}) {
			t.Fatalf("longer %v, error %v", longer, err)
		}
		if got := read(); !strings.Contains(got["p_test.go"], "changedN") || !strings.Contains(got["a_changed_layout.go"], "package p\n") {
			t.Errorf("after +1%%: %q", got)
		} else {
			seen[got["a_changed_layout.go"]] = true
		}
		if _, err := s.change(injection{comments: true}, seed); err != nil {
			t.Fatal(err)
		}
		got := read()
		if len(got) != 2 || !strings.HasSuffix(got["p_test.go"], " = int64(100000)\n") || !strings.HasSuffix(got["p.go"], files["p.go"]) {
			t.Errorf("after a change of comments: %q", got)
		}
		seen[got["p.go"]] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d different texts of 6 changes", len(seen))
	}
}

func TestTheLayoutFileIsGoSource(t *testing.T) {
	for seed := range uint64(20) {
		text := layout("p", rand.New(rand.NewPCG(seed, 0)))
		if _, err := format.Source(text); err != nil || !strings.Contains(string(text), "//go:noinline") {
			t.Errorf("seed %d: %v\n%s", seed, err, text)
		}
	}
}

func TestRowsOfInjections(t *testing.T) {
	for text, want := range map[string]injection{
		"comments@5": {comments: true, margin: 5}, "layout@2": {margin: 2}, "1.5@1": {slower: 1.5, margin: 1},
	} {
		if got, err := parseInjection(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "5@", "@5", "0@5", "-1@5", "5@0", "5@101", "NaN@5", "5@NaN", "slow@5"} {
		if i, err := parseInjection(text); err == nil {
			t.Errorf("%q: %+v", text, i)
		}
	}
}

// Iterations are whole: the change of a benchmark of 39 operations by 2% is none, and that of 100 is 2.
func TestInjectedSharesAreWholeOperations(t *testing.T) {
	of := func(counted, timed int) *harness.Difference {
		d := &harness.Difference{Instructions: &harness.Instructions{Ops: counted}}
		if counted > 0 {
			d.Instructions.Head = []float64{1}
		}
		if timed > 0 {
			d.Samples = []harness.BenchSample{{Bench: harness.Bench{Ops: timed}}}
		}
		return d
	}
	for _, tc := range []struct {
		counted, timed int
		by             string
		percent, want  float64
	}{
		{39, 1000, thresholds.ByInstructions, 2, 0},
		{98, 10, thresholds.ByInstructions, 2, 200.0 / 98},
		{100_000, 10, "", 1, 1},
		{1, 10, thresholds.ByInstructions, 50, 0}, // compared with none
		{39, 1000, thresholds.ByTime, 2, 2},
		{0, 30, "", 5, 100.0 / 30},
		{39, 0, thresholds.ByTime, 2, -1}, // unknown
	} {
		got := injected(of(tc.counted, tc.timed), tc.by, tc.percent)
		switch {
		case tc.want < 0 && got == nil:
		case got == nil || math.Abs(*got-tc.want) > 1e-6:
			t.Errorf("%+v: %v", tc, got)
		}
	}
}

func TestRulesOfOthers(t *testing.T) {
	low, high := make([]float64, 10), make([]float64, 10)
	for i := range low {
		low[i], high[i] = 100+float64(i), 104+float64(i)
	}
	for _, tc := range []struct {
		samples              [2][]float64
		margin               float64
		benchstat, threshold bool
	}{
		{[2][]float64{low, low}, 0.05, false, false},
		{[2][]float64{low, high}, 0.05, true, true},
		{[2][]float64{high, low}, 0.05, false, false},
		{[2][]float64{low, high}, 0.1, true, false}, // 3.8% is less than half of 10%
	} {
		if b, th := alarms(tc.samples, tc.margin); b != tc.benchstat || th != tc.threshold {
			t.Errorf("%v at %v: %v, %v, want %v, %v", tc.samples, tc.margin, b, th, tc.benchstat, tc.threshold)
		}
	}
}
