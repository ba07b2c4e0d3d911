package instructions

import (
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Most CI machines hide the processor's counters, so the outputs of perf are recorded files.
func TestRecordedCountsAreRead(t *testing.T) {
	for file, want := range map[string]struct {
		n   float64
		err string
	}{
		"perf-amd.csv":        {172884738, ""},
		"perf-hybrid.csv":     {88394204, ""},
		"perf-moved.csv":      {88394204, ""},
		"perf-vm.csv":         {0, "not accessible"},
		"perf-shared.csv":     {0, "50.00% of the time"},
		"perf-empty.csv":      {0, "no count"},
		"valgrind-3.19.log":   {1806958, ""},
		"valgrind-3.22.log":   {88394204, ""},
		"valgrind-killed.log": {0, `no line "I refs"`},
		"perf-none.csv":       {0, "no such file"},
	} {
		tool := Tool{Name: "perf", read: readPerf}
		if strings.HasPrefix(file, "valgrind") {
			tool = Tool{Name: "valgrind", read: readValgrind}
		}
		n, err := tool.Read(filepath.Join("testdata", file))
		if n != want.n || (err == nil) != (want.err == "") || err != nil && !strings.Contains(err.Error(), want.err) {
			t.Errorf("%s: %v, error %v; want %v, %q", file, n, err, want.n, want.err)
		}
	}
}

func TestAMachineWithoutAToolSaysHowToGetOne(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := Find(t.Context()); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "valgrind") {
		t.Errorf("error %v", err)
	}
}

// Twice the work executes twice the instructions, and the tool leaves the program's output
// unchanged.
func TestWorkIsCounted(t *testing.T) {
	tool, err := Find(t.Context())
	if errors.Is(err, ErrNone) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	count := func(rounds string) float64 {
		record := filepath.Join(t.TempDir(), "record")
		cmd := exec.CommandContext(context.Background(), exe, "-test.run=^TestWork$")
		cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=off", rounded+"="+rounds)
		tool.Wrap(cmd, record)
		out, err := cmd.Output()
		if err != nil || !strings.HasPrefix(string(out), "worked\n") {
			t.Fatalf("output %q, error %v", out, err)
		}
		n, err := tool.Read(record)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	none, once, twice := count("x"), count("xxxxxxxxxx"), count("xxxxxxxxxxxxxxxxxxx")
	if ratio := (twice - none) / (once - none); math.Abs(ratio-2) > 0.05 {
		t.Errorf("19, 10 and 1 rounds: %v, %v and %v instructions: a ratio of %v, want 2", twice, once, none, ratio)
	}
}

// Settings that the program has are kept.
func TestSettingsOfTheToolAreAdded(t *testing.T) {
	tool := &Tool{Name: "valgrind", before: valgrindArguments, debug: "cpu.rdtscp=off"}
	for have, want := range map[string]string{"": "GODEBUG=cpu.rdtscp=off", "a=1,b=2": "GODEBUG=a=1,b=2,cpu.rdtscp=off"} {
		t.Setenv("GODEBUG", "inherited=1")
		cmd := exec.Command("true")
		cmd.Env = append(os.Environ(), "GODEBUG="+have)
		tool.Wrap(cmd, "record")
		if env := cmd.Environ(); !slices.Contains(env, want) {
			t.Errorf("%q: %q, want %q", have, env, want)
		}
	}
}

const rounded = "FLUJO_HARNESS_ROUNDS"

var kept uint64

// TestWorkIsCounted runs TestWork in a separate process.
func TestWork(t *testing.T) {
	rounds := os.Getenv(rounded)
	if rounds == "" {
		t.Skip("run by TestWorkIsCounted")
	}
	for range len(rounds) {
		for range 1_000_000 {
			kept ^= kept<<13 + 1
		}
	}
	os.Stdout.WriteString("worked\n")
}
