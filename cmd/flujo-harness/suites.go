package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
)

const ginkgoPackage = "github.com/onsi/ginkgo/v2"

// ginkgoSuites lists the folders of the packages whose tests use Ginkgo.
func (p project) ginkgoSuites(ctx context.Context, packages []string) ([]string, error) {
	args := append([]string{"list", "-f", `{{.Dir}}{{range .TestImports}} {{.}}{{end}}{{range .XTestImports}} {{.}}{{end}}`, "--"}, packages...)
	cmd := exec.CommandContext(ctx, "go", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages %s: %w: %s", strings.Join(packages, " "), err, strings.TrimSpace(stderr.String()))
	}
	var dirs []string
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		for _, imported := range fields[min(1, len(fields)):] {
			if imported == ginkgoPackage {
				dirs = append(dirs, fields[0])
				break
			}
		}
	}
	if len(dirs) == 0 {
		return nil, fmt.Errorf("no Ginkgo suite in %s: name packages whose tests import %s, or use flujo-harness bench to measure only", strings.Join(packages, " "), ginkgoPackage)
	}
	return dirs, nil
}

// suitesRun is how the suites ended.
type suitesRun struct {
	results *reports.Results
	problem string // why there are no results
	focused bool
}

// runSuites runs Ginkgo as a child process and reads its report. What the child
// prints goes to the file at log.
func (p project) runSuites(ctx context.Context, dirs []string, log string) (s suitesRun, err error) {
	tmp, err := os.MkdirTemp("", "flujo-harness-")
	if err != nil {
		return s, fmt.Errorf("make a folder for the report of the suites: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
		return s, fmt.Errorf("make a folder for the log of the suites: %w", err)
	}
	out, err := os.Create(log)
	if err != nil {
		return s, fmt.Errorf("log the suites: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()

	const name = "report.json"
	args := append([]string{"tool", "ginkgo", "run", "--no-color", "--keep-going", "--json-report=" + name, "--output-dir=" + tmp}, dirs...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.root, out, out
	interruptible(cmd)
	cmd.WaitDelay = 20 * time.Second
	failed := cmd.Run()
	var exit *exec.ExitError
	if failed != nil && !errors.As(failed, &exit) && ctx.Err() == nil {
		return s, fmt.Errorf("start go tool ginkgo: %w", failed)
	}
	s.focused = exit != nil && exit.ExitCode() == exitFocused

	file, err := os.Open(filepath.Join(tmp, name))
	if err != nil {
		s.problem = fmt.Sprintf("Ginkgo wrote no report (%v): %s; all it said is in %s", failed, lastLines(log, 3), short(log))
		return s, nil
	}
	defer file.Close()
	if s.results, err = reports.ReadGinkgo(file, p.root); err != nil {
		s.problem = fmt.Sprintf("the report of Ginkgo cannot be read: %v; what it said is in %s", err, short(log))
		return s, nil
	}
	if failed != nil && !s.focused && s.results.Green() {
		s.problem = fmt.Sprintf("Ginkgo failed (%v), but its report has no failure: %s; all it said is in %s", failed, lastLines(log, 3), short(log))
	}
	return s, nil
}

// lastLines returns the end of a text file, its lines joined.
func lastLines(path string, n int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' })
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
