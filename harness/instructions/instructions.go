// Package instructions counts the instructions that a program executes in user space.
//
// A count hardly depends on the load of the machine, so it distinguishes two revisions of a
// program on a busy machine where their times cannot. It is not a time: cache misses, waiting
// and work in the kernel do not appear in it.
//
// Two tools can count. perf reads the processor's counters, which most virtual machines and
// containers hide. valgrind's cachegrind simulates the processor: it works everywhere on Linux,
// runs the program 30 to 50 times slower, and needs about 0.5 s to start.
package instructions

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"github.com/flujo/flujo-harness/harness/workdir"
)

// ErrNone reports that no tool on this machine counts instructions.
var ErrNone = errors.New("no program here counts instructions")

// Tool is a program that counts the instructions of another program. A Tool may be used by
// several goroutines, each with commands and record files of its own.
type Tool struct {
	Name   string // "valgrind" or "perf"
	path   string
	before func(record string) []string // arguments before the program
	debug  string                       // settings to add to GODEBUG
	read   func(record string) (float64, error)
}

// install returns advice on how to get a tool.
func install() string {
	if runtime.GOOS == "linux" {
		return "install valgrind: apt-get install valgrind, dnf install valgrind or apk add valgrind"
	}
	return "valgrind works on Linux: count in a container or in CI"
}

// Find returns perf if the processor's counters can be read, otherwise valgrind. An error wraps
// [ErrNone] and explains how to get a tool.
func Find(ctx context.Context) (*Tool, error) {
	if path, err := exec.LookPath("perf"); err == nil {
		t := &Tool{Name: "perf", path: path, before: perfArguments, read: readPerf}
		if t.works(ctx) == nil {
			return t, nil
		}
	}
	return FindPortable(ctx)
}

// FindPortable returns valgrind, whose counts are comparable between machines: every program
// runs on the same simulated processor. An error wraps [ErrNone] and explains how to get it.
func FindPortable(ctx context.Context) (*Tool, error) {
	path, err := exec.LookPath("valgrind")
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrNone, install())
	}
	t := &Tool{Name: "valgrind", path: path, before: valgrindArguments, read: readValgrind}
	if runtime.GOARCH == "amd64" {
		// A Go program reads a clock by RDTSCP if the processor has it. valgrind's always has, but
		// executes it only where the real one has, too; elsewhere, as on some virtual machines,
		// the program ends with SIGILL (valgrind 3.19).
		t.debug = "cpu.rdtscp=off"
	}
	if err := t.works(ctx); err != nil {
		return nil, fmt.Errorf("%w: valgrind is installed but does not work: %w", ErrNone, err)
	}
	return t, nil
}

// works counts the instructions of a program that does nothing, to check that the tool works.
func (t *Tool) works(ctx context.Context) (err error) {
	dir, remove, err := workdir.Temporary(os.TempDir(), "flujo-harness-count-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	program, err := exec.LookPath("true")
	if err != nil {
		return err
	}
	cmd, record := exec.CommandContext(ctx, program), filepath.Join(dir, "record")
	t.Wrap(cmd, record)
	if err := cmd.Run(); err != nil {
		return err
	}
	_, err = t.Read(record)
	return err
}

// Wrap changes cmd, which must not have been started, to run under the tool, and adds what the tool
// needs to its GODEBUG. The tool writes its count to the file record and leaves the program's output
// and exit code unchanged.
func (t *Tool) Wrap(cmd *exec.Cmd, record string) {
	args := append(t.before(record), cmd.Path)
	cmd.Args = append(append([]string{t.path}, args...), cmd.Args[1:]...)
	cmd.Path = t.path
	if t.debug == "" {
		return
	}
	env, debug := cmd.Environ(), t.debug
	for _, v := range env {
		if have, ok := strings.CutPrefix(v, "GODEBUG="); ok && have != "" {
			debug = have + "," + t.debug
		}
	}
	cmd.Env = append(env, "GODEBUG="+debug)
}

// Read returns the number of instructions in the file record, which the tool wrote.
func (t *Tool) Read(record string) (float64, error) {
	n, err := t.read(record)
	if err != nil {
		return 0, fmt.Errorf("read the count of %s: %w", t.Name, err)
	}
	return n, nil
}

// valgrindArguments are those of cachegrind without its caches. It allocates them all the same, of
// the sizes of the processor's: for a last-level cache of 512 MB that takes a fifth of the time of
// a short process, so they are made small.
func valgrindArguments(record string) []string {
	return []string{"--tool=cachegrind", "--cache-sim=no", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=65536,8,64",
		"--vgdb=no", "--read-inline-info=no",
		"--cachegrind-out-file=/dev/null", "--log-file=" + record}
}

// references matches the total in cachegrind's log: "==7== I refs: 1,798,093".
var references = regexp.MustCompile(`(?m)^==\d+==\s+I\s+refs:\s+([\d,]+)\s*$`)

func readValgrind(record string) (float64, error) {
	text, err := os.ReadFile(record)
	if err != nil {
		return 0, err
	}
	all := references.FindAllSubmatch(text, -1)
	if len(all) == 0 {
		return 0, fmt.Errorf("no line \"I refs\" in %.300q", text)
	}
	// A program that forks logs one total per process. The parent waits for its children, so
	// the last total is its own.
	return strconv.ParseFloat(strings.ReplaceAll(string(all[len(all)-1][1]), ",", ""), 64)
}

func perfArguments(record string) []string {
	return []string{"stat", "-x", ",", "-e", "instructions:u", "-o", record, "--"}
}

// readPerf reads the output of perf stat -x (perf-stat(1), CSV FORMAT). Its fields are the
// count, the unit, the event, the time for which the event was counted, and that time as a
// percentage of the run. A processor with two kinds of cores has one line per kind. If there
// are more events than hardware counters, perf extrapolates from part of the run; such a count
// is an estimate and is rejected.
func readPerf(record string) (float64, error) {
	text, err := os.ReadFile(record)
	if err != nil {
		return 0, err
	}
	sum, counted := 0.0, false
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSpace(line), ",")
		if len(fields) < 5 || !strings.Contains(fields[2], "instructions") {
			continue
		}
		switch {
		case fields[0] == "<not supported>":
			return 0, errors.New("the counters of the processor are not accessible here: <not supported>")
		case fields[0] == "<not counted>": // the program did not run on this kind of core
			continue
		}
		n, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return 0, fmt.Errorf("line %q: %w", line, err)
		}
		// Each kind of core counts only while the program runs on it: less than 100% is exact there.
		hybrid := strings.HasPrefix(fields[2], "cpu_")
		if share, err := strconv.ParseFloat(fields[4], 64); !hybrid && (err != nil || share < 100) {
			return 0, fmt.Errorf("perf counted for only %s%% of the time and extrapolated the rest", fields[4])
		}
		sum, counted = sum+n, true
	}
	if !counted {
		return 0, fmt.Errorf("no count of instructions in %.300q", text)
	}
	return sum, nil
}
