// Package instructions counts the instructions that a program executes in user space.
//
// A count hardly depends on what else the machine does, so two revisions of a program can be
// told apart on a busy machine, where their times cannot. It is not a time: it does not see
// cache misses, waiting, or the kernel.
//
// Two programs can count: perf, where the processor's counters are accessible, and
// valgrind's cachegrind, which works in any virtual machine and on any processor, 30 to 50
// times slower than the program alone and with about half a second to start.
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
)

// ErrNone is a machine without a program that counts instructions.
var ErrNone = errors.New("no program here counts instructions")

// Tool is a program that counts the instructions of another one.
type Tool struct {
	Name   string // "valgrind" or "perf"
	path   string
	before func(record string) []string // arguments before the program
	read   func(record string) (float64, error)
}

// install is what to do where there is no tool.
func install() string {
	if runtime.GOOS == "linux" {
		return "install valgrind: apt-get install valgrind, dnf install valgrind or apk add valgrind"
	}
	return "there is valgrind for Linux: count in a container or in CI"
}

// Find returns perf where the processor's counters can be read, else valgrind. The error
// wraps [ErrNone] and says how to get one.
func Find(ctx context.Context) (*Tool, error) {
	if path, err := exec.LookPath("perf"); err == nil {
		t := &Tool{Name: "perf", path: path, before: perfArguments, read: readPerf}
		if t.works(ctx) == nil {
			return t, nil
		}
	}
	return FindPortable(ctx)
}

// FindPortable returns valgrind, whose counts do not depend on the processor: it runs every
// program on the same simulated one.
func FindPortable(ctx context.Context) (*Tool, error) {
	path, err := exec.LookPath("valgrind")
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrNone, install())
	}
	t := &Tool{Name: "valgrind", path: path, before: valgrindArguments, read: readValgrind}
	if err := t.works(ctx); err != nil {
		return nil, fmt.Errorf("%w: valgrind is installed and does not work: %w", ErrNone, err)
	}
	return t, nil
}

// works counts a program that does nothing.
func (t *Tool) works(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "flujo-harness-count-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
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

// Wrap makes the command, which has not been started, run under the tool. The tool writes
// its count to the file record; the output of the program is its own.
func (t *Tool) Wrap(cmd *exec.Cmd, record string) {
	args := append(t.before(record), cmd.Path)
	cmd.Args = append(append([]string{t.path}, args...), cmd.Args[1:]...)
	cmd.Path = t.path
}

// Read returns the instructions that the tool counted into the file record.
func (t *Tool) Read(record string) (float64, error) {
	n, err := t.read(record)
	if err != nil {
		return 0, fmt.Errorf("read the count of %s: %w", t.Name, err)
	}
	return n, nil
}

func valgrindArguments(record string) []string {
	return []string{"--tool=cachegrind", "--cache-sim=no", "--vgdb=no", "--read-inline-info=no",
		"--cachegrind-out-file=/dev/null", "--log-file=" + record}
}

// references is the line of cachegrind's log with all instructions: "==7== I refs: 1,798,093".
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
	// A process that forks writes one part for each: the last to end is the program itself.
	return strconv.ParseFloat(strings.ReplaceAll(string(all[len(all)-1][1]), ",", ""), 64)
}

func perfArguments(record string) []string {
	return []string{"stat", "-x", ",", "-e", "instructions:u", "-o", record, "--"}
}

// readPerf reads the lines of perf stat -x, whose fields are the count, its unit, the event,
// the time it was counted and the share of the time in percent. A processor with two kinds
// of cores has a line for each. A count that perf extrapolated, because it had more events
// than the processor has counters, is refused: it is an estimate.
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
		case fields[0] == "<not counted>": // the program never ran on cores of this kind
			continue
		}
		n, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return 0, fmt.Errorf("line %q: %w", line, err)
		}
		// With two kinds of cores each counts for its part of the time, and nothing is extrapolated.
		hybrid := strings.HasPrefix(fields[2], "cpu_")
		if share, err := strconv.ParseFloat(fields[4], 64); !hybrid && (err != nil || share < 100) {
			return 0, fmt.Errorf("perf counted for %s%% of the time only and extrapolated the rest", fields[4])
		}
		sum, counted = sum+n, true
	}
	if !counted {
		return 0, fmt.Errorf("no count of instructions in %.300q", text)
	}
	return sum, nil
}
