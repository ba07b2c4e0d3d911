package runner

import (
	"context"
	_ "embed" // of the file that is compiled into suites
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/reports/live"
)

// ginkgo runs suites by the Ginkgo of the user's own module, in a process of its own.
type ginkgo struct {
	root    string   // folder of go.mod
	guard   []string // see [child.RunGroup]
	suites  []testPackage
	flags   []string // of the user
	program string   // its command
	log     string   // file of all that it says
}

//go:embed telling_test.go.tmpl
var telling string

const (
	ginkgoTool   = ginkgoPackage + "/ginkgo"
	focusedExit  = 197 // exit code of Ginkgo where a spec has programmatic focus
	ginkgoReport = "flujo-harness-report.json"
	specsEnv     = "FLUJO_HARNESS_SPECS" // folder where the specs of a suite are told one by one
)

// newGinkgo builds the command of the version that the module requires: so the command
// and the package in the suites are never of two versions, whatever is on the PATH.
func newGinkgo(ctx context.Context, o Options, suites []testPackage) (*ginkgo, error) {
	dir, err := o.folder()
	if err != nil {
		return nil, fmt.Errorf("make a folder for the command of Ginkgo: %w", err)
	}
	g := &ginkgo{root: o.Root, guard: o.Guard, suites: suites, flags: o.Flags,
		program: filepath.Join(dir, "bin", "ginkgo"+child.Suffix()),
		log:     filepath.Join(dir, "ginkgo.log")}
	if err := g.build(ctx); err != nil && ctx.Err() == nil {
		return nil, refusal(fmt.Errorf("build the command of Ginkgo that go.mod names: %w", err))
	}
	return g, nil
}

// build builds the command by the user's own module. A module may lack what the command needs in
// addition to the package, or be vendored without it: then copies of go.mod and go.sum get that.
// The module's own are never changed, also with GOFLAGS=-mod=mod.
func (g *ginkgo) build(ctx context.Context) error {
	build := func(args ...string) error {
		cmd := exec.CommandContext(ctx, "go", append(append([]string{"build"}, args...), "-o", g.program, ginkgoTool)...)
		cmd.Dir, cmd.Env = g.root, os.Environ()
		if flags := os.Getenv("GOFLAGS"); strings.Contains(flags, "-mod=mod") {
			cmd.Env = append(cmd.Env, "GOFLAGS="+strings.ReplaceAll(flags, "-mod=mod", "-mod=readonly"))
		}
		out, err := child.CombinedOutput(cmd)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	failed := build()
	if failed == nil || ctx.Err() != nil {
		return failed
	}
	dir, remove, err := harness.Temporary(os.TempDir(), "flujo-harness-ginkgo-")
	if err != nil {
		return errors.Join(failed, err)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(g.root, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil && !(name == "go.sum" && errors.Is(err, fs.ErrNotExist)) { // a workspace without a module at its root, say
			return errors.Join(failed, remove())
		}
	}
	if err := build("-mod=mod", "-modfile="+filepath.Join(dir, "go.mod")); err != nil {
		return errors.Join(fmt.Errorf("%w\nwith what it needs in addition: %w\nlet the go command download modules, or let go.mod have the command: go get -tool %s && go mod tidy",
			failed, err, ginkgoTool), remove())
	}
	return remove()
}

// run runs all suites once and reads what they report, and what those that have died
// have told before.
//
// tell is called about once a second with what is new.
func (g *ginkgo) run(ctx context.Context, tell func(live.News)) (s Outcome, err error) {
	tmp, remove, err := harness.Temporary(os.TempDir(), "flujo-harness-run-")
	if err != nil {
		return s, fmt.Errorf("make a folder for the report of the suites: %w", err)
	}
	defer func() { err = errors.Join(err, remove()) }()
	out, err := os.Create(g.log)
	if err != nil {
		return s, fmt.Errorf("log the suites: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	env, err := g.telling(ctx, tmp)
	if err != nil {
		return s, fmt.Errorf("prepare the suites to tell of their specs: %w", err)
	}

	outputs, flags := takeFlag(g.flags, "output-dir")
	cmd := g.command(ctx, filepath.Join(tmp, "reports"), g.suites, flags)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, out, out
	stop := watch(newGinkgoNews(g.root, tmp, g.log).look, tell)
	failed, err := child.RunGroup(ctx, cmd, g.guard)
	stop()
	tell(g.ended())
	if err != nil {
		return s, fmt.Errorf("start Ginkgo: %w", err)
	}
	s.Focused = cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == focusedExit
	whole, err := readGinkgo(filepath.Join(tmp, "reports"))
	if err != nil {
		return s, err
	}
	if err := g.moveOutputs(filepath.Join(tmp, "reports"), outputs); err != nil {
		return s, err
	}
	s.Hints = hints(g.log)
	told := readTold(tmp)
	if len(whole) == 0 && failed != nil && ctx.Err() == nil && len(told) == 0 {
		if said := refused(g.log); said != "" {
			return s, refusal(fmt.Errorf("the flags behind -- are refused by Ginkgo: %s: go run %s help run lists them", said, ginkgoTool))
		}
		s.Problem = fmt.Sprintf("Ginkgo wrote no report (%v): %s; all it said is in %s", failed, lastLines(g.log, 3), harness.ShortPath(g.log))
		return s, nil
	}
	whole = g.complete(ctx, whole, told, tmp)
	text, err := json.Marshal(whole)
	if err != nil {
		return s, fmt.Errorf("put the reports of the suites together: %w", err)
	}
	if s.Results, err = ingest.ReadGinkgo(strings.NewReader(string(text)), g.root); err != nil {
		s.Problem = fmt.Sprintf("the report of Ginkgo cannot be read: %v; what it said is in %s", err, harness.ShortPath(g.log))
		return s, nil
	}
	if failed != nil && !s.Focused && s.Results.Green() && ctx.Err() == nil {
		s.Problem = fmt.Sprintf("Ginkgo failed (%v), but its report has no failure: %s; all it said is in %s", failed, lastLines(g.log, 3), harness.ShortPath(g.log))
	}
	return s, nil
}

// command is Ginkgo over suites with reports in a folder. What the suites have beside
// their specs for go test is left to it: each process of a suite would run that, and
// nobody would record it.
func (g *ginkgo) command(ctx context.Context, reports string, suites []testPackage, flags []string) *exec.Cmd {
	args := append([]string{"run", "--no-color", "--keep-going", "--json-report=" + ginkgoReport, "--output-dir=" + reports}, append(focus(suites), flags...)...)
	var tests []string // flags of the test programs
	if i := slices.Index(args, "--"); i >= 0 {
		args, tests = args[:i:i], args[i+1:]
	}
	var entries []string
	beside := false
	for _, s := range suites {
		args = append(args, s.Dir)
		entries, beside = append(entries, s.entries...), beside || len(s.plain) > 0
	}
	if beside {
		tests = append([]string{"-test.run=^(" + strings.Join(entries, "|") + ")$"}, tests...) // one of the user's comes behind it, and counts
	}
	if len(tests) > 0 {
		args = append(append(args, "--"), tests...)
	}
	cmd := exec.CommandContext(ctx, g.program, args...)
	cmd.Dir = g.root
	return cmd
}

// toldBy is what the file that is compiled into a suite needs to know.
type toldBy struct {
	Package, Env, Dir string
	Flags             string // GOFLAGS of the environment, which the suite gets back
	FlagsSet          bool
}

// telling makes the files that are compiled into the suites, and the environment for it.
// A module that has an overlay of its own keeps it, and its suites tell nothing.
func (g *ginkgo) telling(ctx context.Context, tmp string) (env []string, err error) {
	env = os.Environ()
	ask := exec.CommandContext(context.WithoutCancel(ctx), "go", "env", "GOFLAGS") // of the environment, or of go env -w
	ask.Dir = g.root
	goflags, err := child.Output(ask)
	if err != nil {
		return nil, child.Explained(err)
	}
	if strings.Contains(string(goflags), "-overlay") {
		return env, nil
	}
	if err := os.Mkdir(filepath.Join(tmp, "told"), 0o755); err != nil {
		return nil, err
	}
	t, err := template.New("telling").Delims("<<", ">>").Parse(telling)
	if err != nil {
		return nil, err
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for i, s := range g.suites {
		path := filepath.Join(tmp, fmt.Sprintf("telling%d_test.go", i))
		f, err := os.Create(path)
		if err != nil {
			return nil, err
		}
		told := toldBy{Package: s.suite, Env: specsEnv, Dir: s.Dir}
		told.Flags, told.FlagsSet = os.LookupEnv("GOFLAGS")
		err = t.Execute(f, told)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		overlay.Replace[filepath.Join(s.Dir, "zz_flujo_harness_telling_test.go")] = path
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(tmp, "overlay.json")
	all := strings.TrimSpace(string(goflags)) + " '-overlay=" + path + "'"
	return append(env, "GOFLAGS="+all, specsEnv+"="+filepath.Join(tmp, "told")), os.WriteFile(path, text, 0o644)
}

// readGinkgo reads the reports in the folder: the one that Ginkgo merged, or, where it
// did not come to that, those of the suites that have ended.
func readGinkgo(dir string) (all []types.Report, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+ginkgoReport))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read the report of the suites: %w", err)
		}
		var some []types.Report
		if json.Unmarshal(text, &some) == nil { // else its process was killed while it wrote
			all = append(all, some...)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// moveOutputs moves what else Ginkgo was asked to write to where it would have
// written it: the folder of --output-dir, or the one that it was called in.
func (g *ginkgo) moveOutputs(from, to string) error {
	if to == "" {
		to = g.root
	}
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || len(entries) == 0 {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("keep what Ginkgo wrote: %w", err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, e.Name()), text, 0o644)
		}
		if err != nil {
			return fmt.Errorf("keep what Ginkgo wrote: %w", err)
		}
	}
	return nil
}

// hints turns what Ginkgo says about misuse into what to do.
func hints(log string) (all []string) {
	text, err := os.ReadFile(log)
	if err != nil {
		return nil
	}
	for said, advice := range map[string]string{
		"calling RunSpecs more than once":    "two suites in one package: Ginkgo runs one RunSpecs in each; move the second one to a package of its own",
		"Ginkgo detected a version mismatch": "the command of Ginkgo and the package are of two versions: is there a go.work or a second go.mod? Require one version in all of them",
	} {
		if strings.Contains(string(text), said) {
			all = append(all, advice)
		}
	}
	slices.Sort(all)
	return all
}

// refused is what Ginkgo has against its flags, "" where it had nothing.
func refused(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return ""
	}
	lines := strings.Split(colours.ReplaceAllString(string(text), ""), "\n")
	for i, line := range lines {
		if strings.Contains(line, "flag provided but not defined") || strings.Contains(line, "invalid value") {
			return strings.TrimSpace(line)
		}
		if strings.Contains(line, "Ginkgo detected configuration issues") && i+1 < len(lines) {
			return strings.TrimSpace(lines[i+1])
		}
	}
	return ""
}

var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// lastLines returns the end of a text file, its lines joined.
func lastLines(path string, n int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' })
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
