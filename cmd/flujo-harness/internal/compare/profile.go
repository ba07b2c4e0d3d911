package compare

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/child"
)

// profileFor is the approximate duration of a profiled process.
const profileFor = time.Second

// profile runs a broken benchmark again at both revisions with the profiler, with the same number
// of operations. It returns the functions whose time grew most, or why there are none.
func (c *comparing) profile(ctx context.Context, t *target, d *harness.Difference, tmp string) string {
	dir := c.profiles
	if dir == "" {
		dir = filepath.Join(tmp, "profiles")
	}
	none := func(err error) string { return fmt.Sprintf("%s: no profile: %.300v\n", d.Name, err) }
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return none(err)
	}
	pattern := harness.BenchPattern(strings.TrimPrefix(d.Name, t.pkg+"."), t.spec.Procs)
	ops := max(1, int(float64(profileFor)/max(1, d.BaseNS.Value)))
	if len(d.Blocks) > 0 && strings.Contains(strings.Join(d.Notes, " "), "-benchtime=1x") {
		ops = 1
	}
	stem := filepath.Join(dir, strings.NewReplacer("/", "_", " ", "_").Replace(d.Name))
	var files [2]string
	for i, side := range []harness.BenchSide{t.spec.Base, t.spec.Head} {
		files[i] = stem + []string{".base.pprof", ".head.pprof"}[i]
		absolute, err := filepath.Abs(files[i])
		if err != nil {
			return none(err)
		}
		within, cancel := context.WithTimeout(ctx, 20*profileFor+t.spec.Deadline)
		cmd := exec.CommandContext(within, side.Binary, "-test.run=^$", "-test.bench="+pattern, fmt.Sprintf("-test.benchtime=%dx", ops), "-test.cpuprofile="+absolute)
		cmd.Dir = side.Dir
		out, err := child.CombinedOutput(cmd)
		if cancel(); err != nil {
			return none(fmt.Errorf("%w: %s", err, cli.FirstLines(string(out), 3)))
		}
	}
	pprof := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-nodecount=5", "-diff_base="+files[0], files[1])
	out, err := child.Output(pprof)
	if err != nil {
		return none(err)
	}
	return topFunctions(d.Name, string(out), ops, c.profiles)
}

// topFunctions extracts the rows from the output of pprof -top.
func topFunctions(name, out string, ops int, kept string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: the functions whose time changed most (head minus base, %d operations each; sampled, not judged):\n", name, ops)
	_, rows, found := strings.Cut(out, "cum%\n")
	if !found {
		return fmt.Sprintf("%s: no profile: pprof printed %.200q\n", name, out)
	}
	b.WriteString("        flat  flat%   sum%        cum   cum%\n")
	b.WriteString(rows)
	if kept != "" {
		fmt.Fprintf(&b, "  the profiles are in %s\n", kept)
	}
	return b.String()
}
