package compare

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/revisions"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/child"
)

// isBenchmark matches functions that go test considers benchmarks.
var isBenchmark = regexp.MustCompile(`(?m)^func Benchmark([^a-z\s(]\w*)?\(`)

// packagesOf returns the folders of the packages with benchmarks, by import path, and the
// packages whose benchmarks are all in files that build constraints exclude.
func (c *comparing) packagesOf(ctx context.Context, side revisions.Checkout) (found map[string]string, excluded []string, err error) {
	args := append([]string{"list", "-e", "-tags=" + c.tags, "-f", `{{.ImportPath}}{{"\t"}}{{.Dir}}{{range .TestGoFiles}}{{"\t"}}{{.}}{{end}}{{range .XTestGoFiles}}{{"\t"}}{{.}}{{end}}{{range .IgnoredGoFiles}}{{"\t!"}}{{.}}{{end}}`, "--"}, c.packages...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = side.Dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := child.Output(cmd)
	if err != nil {
		return nil, nil, fmt.Errorf("list the packages at %s: %w: %s", side.Name, err, strings.TrimSpace(stderr.String()))
	}
	found = map[string]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		for _, file := range fields[min(2, len(fields)):] {
			file, ignored := strings.CutPrefix(file, "!")
			if text, err := os.ReadFile(filepath.Join(fields[1], file)); err != nil || !isBenchmark.Match(text) {
				continue
			}
			if !ignored {
				found[fields[0]] = fields[1]
			} else if strings.HasSuffix(file, "_test.go") {
				excluded = append(excluded, fields[0])
			}
		}
	}
	excluded = slices.DeleteFunc(slices.Compact(excluded), func(pkg string) bool { return found[pkg] != "" })
	return found, excluded, nil
}

// benchmarkName matches a benchmark in the output of -test.list. A TestMain may print other
// lines.
var benchmarkName = regexp.MustCompile(`^Benchmark[\pL\pN_]*$`)

// buildFlags configures the builds of test binaries.
type buildFlags struct {
	tags  string
	align bool   // functions begin at multiples of 64 bytes
	trim  bool   // -trimpath
	work  string // print the commands, and keep their files in a new folder in this one; "": do neither
}

// alignFunctions is the flag of the linker that lets each function begin a line of the processor's
// caches. The linker aligns to 32 bytes otherwise, so that a function that grows moves others to
// another half of a line, which alone makes them slower or faster. Between ten random orders of the
// functions, times had a standard deviation of 3 to 5% with 32 bytes, and of 1 to 2%, most of it
// noise, with 64 (benchmarks of toml v1.5.0 and gjson v1.18.0, Intel Xeon).
const alignFunctions = "-funcalign=64"

// canAlign reports whether the linkers of both revisions know alignFunctions. That of Go 1.24
// does not.
func canAlign(ctx context.Context, sides [2]revisions.Checkout) bool {
	flag, _, _ := strings.Cut(alignFunctions, "=")
	for _, s := range sides {
		help := exec.CommandContext(ctx, "go", "tool", "link", "-help")
		help.Dir = s.Dir
		said, _ := child.CombinedOutput(help) // it exits with an error code
		if !strings.Contains(string(said), flag+" ") {
			return false
		}
	}
	return true
}

// buildTests builds the test binary of a package. It omits symbols, because a tool that counts
// instructions would read them at every start. layout is the order of the functions; 0 is that of
// the linker. said is the output of the build.
func buildTests(ctx context.Context, s revisions.Checkout, pkg, to string, flags buildFlags, layout int) (said string, err error) {
	link := "-ldflags=-s -w"
	if flags.align {
		link += " " + alignFunctions
	}
	if layout > 0 {
		link += fmt.Sprintf(" %s%d", randomLayout, layout)
	}
	args := []string{"test", "-c", "-buildvcs=false", "-tags=" + flags.tags, link, "-o", to}
	if flags.trim {
		args = append(args, "-trimpath")
	}
	if flags.work != "" {
		args = append(args, "-x", "-work")
	}
	build := exec.CommandContext(ctx, "go", append(args, pkg)...)
	build.Dir = s.Dir
	if flags.work != "" {
		build.Env = append(os.Environ(), "GOTMPDIR="+flags.work)
	}
	out, err := child.CombinedOutput(build)
	if err != nil {
		what := cli.FirstLines(string(out), 10)
		if strings.Contains(what, "replacement directory") || strings.Contains(what, "(replaced by ") {
			what += "\na checkout has nothing from outside of the repository, and no submodules: use an absolute folder in the replace directive of go.mod, at both revisions"
		}
		return "", fmt.Errorf("build the tests of %s at %s: %w:\n%s", pkg, s.Name, err, what)
	}
	return string(out), nil
}

// randomLayout is the flag of the linker, without its number, for a random order of the functions.
const randomLayout = "-randlayout="

// listDeadline is the time in which a test binary must list its benchmarks. Its init functions
// and TestMain run first.
const listDeadline = time.Minute

// testBinary builds the test binary of a package and returns the list of its benchmarks.
func testBinary(ctx context.Context, s revisions.Checkout, pkg, dir, to string, flags buildFlags) (list string, err error) {
	if _, err := buildTests(ctx, s, pkg, to, flags, 0); err != nil {
		return "", err
	}
	within, cancel := context.WithTimeout(ctx, listDeadline)
	defer cancel()
	ask := exec.CommandContext(within, to, "-test.list=^Benchmark")
	ask.Dir = dir
	said, err := child.Output(ask)
	if err != nil {
		return "", fmt.Errorf("list the benchmarks of %s at %s: %w:\n%s", pkg, s.Name, child.Explained(err), cli.FirstLines(string(said), 10))
	}
	return string(said), nil
}

// copyBinary copies a binary as its twin.
func copyBinary(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path+".twin", data, 0o700)
}

// otherData reports whether the revisions differ in a tracked file of the module that benchmarks
// of any package may read. That excludes Go source files, which would change the binary, texts
// about the module, and hidden files.
func otherData(ctx context.Context, p project.Project, sides [2]revisions.Checkout) (bool, error) {
	args := []string{"diff", "--name-only", "--no-renames", "-z", sides[0].Of.Commit}
	if sides[1].Of.Commit != "" {
		args = append(args, sides[1].Of.Commit)
	}
	changed, err := p.Git(ctx, append(args, "--", ".")...)
	if err != nil {
		return false, fmt.Errorf("list the files that differ: %w", err)
	}
	for name := range strings.SplitSeq(changed, "\x00") {
		base := filepath.Base(name)
		about := slices.Contains([]string{".go", ".md"}, filepath.Ext(name)) || slices.Contains([]string{"go.mod", "go.sum", "LICENSE", "Makefile"}, base)
		if name != "" && !about && !strings.HasPrefix(name, ".") && !strings.Contains(name, "/.") {
			return true, nil
		}
	}
	return false, nil
}

// build builds the test binaries and lists what to compare.
func (c *comparing) build(ctx context.Context, p project.Project, tmp string, sides [2]revisions.Checkout, result *Result) ([]*target, error) {
	var dirs [2]map[string]string
	for i := range sides {
		var err error
		if dirs[i], result.Excluded, err = c.packagesOf(ctx, sides[i]); err != nil {
			return nil, cli.Usage(err)
		}
	}
	if c.which == "head" {
		if err := c.headBenchmarks(ctx, sides, dirs); err != nil {
			return nil, cli.Fault(err)
		}
		var err error
		if dirs[0], _, err = c.packagesOf(ctx, sides[0]); err != nil {
			return nil, cli.Usage(err)
		}
	}
	otherData, err := otherData(ctx, p, sides)
	if err != nil {
		return nil, cli.Fault(err)
	}
	flags := buildFlags{tags: c.tags, align: canAlign(ctx, sides), trim: true}
	var notBuilt error
	all := maps.Clone(dirs[0])
	maps.Copy(all, dirs[1])
	var targets []*target
	for n, pkg := range slices.Sorted(maps.Keys(all)) {
		var names [2][]string
		var binaries [2]string
		var failed error
		for i := range sides {
			if dirs[i][pkg] == "" {
				continue
			}
			binaries[i] = filepath.Join(tmp, fmt.Sprintf("%d-%d.test", n, i))
			said, err := testBinary(ctx, sides[i], pkg, dirs[i][pkg], binaries[i], flags)
			switch {
			case err != nil && (i == 1 || ctx.Err() != nil):
				return nil, cli.Fault(err)
			case err != nil:
				failed = err
			}
			for name := range strings.Lines(said) {
				if name = strings.TrimSpace(name); benchmarkName.MatchString(name) && !slices.Contains(names[i], name) && match(c.selected, name) != "" && !skips(c.skip, name) {
					names[i] = append(names[i], name)
				}
			}
		}
		if failed != nil {
			result.NotBuilt = append(result.NotBuilt, failed.Error())
			notBuilt = errors.Join(notBuilt, failed)
			continue
		}
		one := func(i int) (only []string) {
			for _, name := range names[i] {
				if !slices.Contains(names[1-i], name) {
					only = append(only, pkg+"."+name)
				}
			}
			return only
		}
		result.Gone, result.New = append(result.Gone, one(0)...), append(result.New, one(1)...)
		both := slices.DeleteFunc(slices.Clone(names[0]), func(name string) bool { return !slices.Contains(names[1], name) })
		if len(both) == 0 {
			continue
		}
		same, err := equalFiles(binaries[0], binaries[1])
		if same = same && !otherData; err == nil && same {
			same, err = equalFolders(dirs[0][pkg], dirs[1][pkg])
		}
		if err != nil {
			return nil, cli.Fault(err)
		}
		if same {
			result.Identical = append(result.Identical, pkg)
			continue
		}
		if err := copyBinary(binaries[0]); err != nil {
			return nil, cli.Fault(err)
		}
		build := &packageBuild{pkg: pkg, stem: filepath.Join(tmp, fmt.Sprint(n)), flags: flags, sides: sides, dirs: [2]string{dirs[0][pkg], dirs[1][pkg]}, layouts: map[int][2]harness.BenchSide{}}
		for _, name := range both {
			for _, procs := range c.procs {
				targets = append(targets, &target{pkg: pkg, name: name, build: build, spec: harness.BenchSpec{
					Package: pkg, Benchmark: name, Match: match(c.selected, name), Skip: c.skip, Twin: binaries[0] + ".twin", Seed: c.seed + uint64(len(targets)),
					Time: c.time, Ops: c.ops, Procs: procs, Blocks: c.count, Deadline: c.deadline(), Layout: build.layout,
					Base: harness.BenchSide{Revision: sides[0].Name, Binary: binaries[0], Dir: dirs[0][pkg]},
					Head: harness.BenchSide{Revision: sides[1].Name, Binary: binaries[1], Dir: dirs[1][pkg]},
				}})
			}
		}
	}
	if len(targets)+len(result.Identical)+len(result.New)+len(result.Gone) == 0 && notBuilt != nil {
		return nil, cli.Fault(notBuilt)
	}
	return targets, nil
}

// deadline returns the time limit of a process. A benchmark that takes a minute cannot be
// compared, and one that hangs must leave time for others.
func (c *comparing) deadline() time.Duration {
	return min(time.Minute, max(c.budget/4, 2*time.Second)) + 10*c.time
}

// headBenchmarks replaces the test files of the base by those of the head, for each package in
// which they compile with the code of the base. The base is a temporary checkout.
func (c *comparing) headBenchmarks(ctx context.Context, sides [2]revisions.Checkout, dirs [2]map[string]string) error {
	for pkg, from := range dirs[1] {
		within, err := filepath.Rel(sides[1].Dir, from)
		if err != nil || strings.HasPrefix(within, "..") {
			continue
		}
		to := filepath.Join(sides[0].Dir, within)
		if _, err := os.Stat(to); err != nil {
			continue // the base does not have the package
		}
		before, err := swapTests(to, from)
		if err != nil {
			return err
		}
		vet := exec.CommandContext(ctx, "go", "test", "-c", "-tags="+c.tags, "-o", os.DevNull, pkg)
		vet.Dir = sides[0].Dir
		if _, err := child.CombinedOutput(vet); err != nil {
			for name := range before {
				if err := writeOrRemove(filepath.Join(to, name), before[name]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// swapTests replaces the test files of a folder by those of another. It returns the replaced
// files; the value is nil for a file that did not exist.
func swapTests(to, from string) (before map[string][]byte, err error) {
	before = map[string][]byte{}
	for _, dir := range []string{to, from} {
		names, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil {
			return nil, err
		}
		for _, path := range names {
			name := filepath.Base(path)
			if _, done := before[name]; done {
				continue
			}
			old, err := os.ReadFile(filepath.Join(to, name))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			text, err := os.ReadFile(filepath.Join(from, name))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			before[name] = old
			if err := writeOrRemove(filepath.Join(to, name), text); err != nil {
				return nil, err
			}
		}
	}
	return before, nil
}

// writeOrRemove writes a file, or removes it if text is nil.
func writeOrRemove(path string, text []byte) error {
	if text == nil {
		return os.Remove(path)
	}
	return os.WriteFile(path, text, 0o644)
}

func equalFiles(a, b string) (bool, error) {
	x, err := os.ReadFile(a)
	if err != nil {
		return false, err
	}
	y, err := os.ReadFile(b)
	return bytes.Equal(x, y), err
}

// equalFolders reports whether two folders of a package have the same files with the same
// content, which the benchmarks may read. It ignores the folders .git and .flujo.
func equalFolders(a, b string) (bool, error) {
	var found [2]map[string][sha256.Size]byte
	for i, dir := range []string{a, b} {
		found[i] = map[string][sha256.Size]byte{}
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case path != dir && d.IsDir() && (d.Name() == ".git" || d.Name() == ".flujo"):
				return fs.SkipDir
			case d.IsDir() || d.Name() == ".git":
				return nil
			}
			name, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			text := []byte(d.Type().String()) // for files that are not regular and must not be opened
			switch {
			case d.Type()&fs.ModeSymlink != 0:
				var to string
				to, err = os.Readlink(path)
				text = append(text, to...)
			case d.Type().IsRegular():
				text, err = os.ReadFile(path)
			}
			found[i][name] = sha256.Sum256(text)
			return err
		})
		if err != nil {
			return false, err
		}
	}
	return maps.Equal(found[0], found[1]), nil
}
