package runner

import (
	"context"
	_ "embed"
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

	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/harness/workdir"
	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/reports/live"
)

// ginkgo runs suites in a child process, by the Ginkgo of the user's module.
type ginkgo struct {
	root    string   // folder of go.mod
	guard   []string // see [child.RunGroup]
	suites  []testPackage
	flags   []string // flags of the user
	program string   // path of the command of Ginkgo
	log     string   // file for its output
}

// reporter is the template of a file that is compiled into suites. The file reports each spec when it
// starts and when it ends.
//
//go:embed reporter_test.go.tmpl
var reporter string

const (
	ginkgoTool   = ginkgoPackage + "/ginkgo"
	focusedExit  = 197 // exit code of Ginkgo if a spec has programmatic focus and no spec failed
	ginkgoReport = "flujo-harness-report.json"
	specsEnv     = "FLUJO_HARNESS_SPECS" // folder in which suites report their specs one by one
)

// newGinkgo builds the command of Ginkgo in the version that the module requires. So the command and
// the package always have the same version, whatever command is on the PATH.
func newGinkgo(ctx context.Context, o Options, suites []testPackage) (*ginkgo, error) {
	dir, err := o.folder()
	if err != nil {
		return nil, fmt.Errorf("create a folder for the command of Ginkgo: %w", err)
	}
	g := &ginkgo{root: o.Root, guard: o.Guard, suites: suites, flags: o.Flags,
		program: filepath.Join(dir, "bin", "ginkgo"+child.Suffix()),
		log:     filepath.Join(dir, "ginkgo.log")}
	if err := g.build(ctx); err != nil && ctx.Err() == nil {
		return nil, refusal(fmt.Errorf("build the command of Ginkgo that go.mod names: %w", err))
	}
	return g, nil
}

// build builds the command of Ginkgo in the user's module. The command requires more modules than the
// package. If go.mod, go.sum or the vendor folder lack them, build adds them to copies of go.mod and
// go.sum. It never changes the files of the module, even with GOFLAGS=-mod=mod.
func (g *ginkgo) build(ctx context.Context) error {
	build := func(args ...string) error {
		cmd := exec.CommandContext(ctx, "go", append(append([]string{"build", "-ldflags=-s -w"}, args...), "-o", g.program, ginkgoTool)...)
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
	dir, remove, err := workdir.Temporary(os.TempDir(), "flujo-harness-ginkgo-")
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
		return errors.Join(fmt.Errorf("%w\nand with additional requirements: %w\nallow the go command to download modules, or add the command to go.mod: go get -tool %s && go mod tidy",
			failed, err, ginkgoTool), remove())
	}
	return remove()
}

// run runs all suites once and reads their reports. For suites whose process ended early it uses the
// specs that they reported one by one. It calls tell with the progress about once a second.
func (g *ginkgo) run(ctx context.Context, tell func(live.News)) (s Outcome, err error) {
	tmp, remove, err := workdir.Temporary(os.TempDir(), "flujo-harness-run-")
	if err != nil {
		return s, fmt.Errorf("create a folder for the report of the suites: %w", err)
	}
	defer func() { err = errors.Join(err, remove()) }()
	out, err := os.Create(g.log)
	if err != nil {
		return s, fmt.Errorf("log the suites: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	env, err := g.addReporter(ctx, tmp)
	if err != nil {
		return s, fmt.Errorf("make the file that reports specs one by one: %w", err)
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
	events := readEvents(tmp)
	if len(whole) == 0 && failed != nil && ctx.Err() == nil && len(events) == 0 {
		if said := refused(g.log); said != "" {
			return s, refusal(fmt.Errorf("the flags after -- are rejected by Ginkgo: %s: go run %s help run lists them", said, ginkgoTool))
		}
		s.Problem = fmt.Sprintf("Ginkgo wrote no report (%v): %s; its output is in %s", failed, lastLines(g.log, 3), workdir.ShortPath(g.log))
		return s, nil
	}
	whole = g.complete(ctx, whole, events, tmp)
	text, err := json.Marshal(whole)
	if err != nil {
		return s, fmt.Errorf("join the reports of the suites: %w", err)
	}
	if s.Results, err = ingest.ReadGinkgo(strings.NewReader(string(text)), g.root); err != nil {
		s.Problem = fmt.Sprintf("the report of Ginkgo cannot be read: %v; its output is in %s", err, workdir.ShortPath(g.log))
		return s, nil
	}
	if failed != nil && !s.Focused && s.Results.Green() && ctx.Err() == nil {
		s.Problem = fmt.Sprintf("Ginkgo failed (%v), but its report has no failure: %s; its output is in %s", failed, lastLines(g.log, 3), workdir.ShortPath(g.log))
	}
	return s, nil
}

// command returns the command that runs suites and writes reports to a folder. It runs only the tests
// that call RunSpecs. Ginkgo would run other tests of the package as well, once in each parallel
// process, but would not report them; go test runs those.
func (g *ginkgo) command(ctx context.Context, reports string, suites []testPackage, flags []string) *exec.Cmd {
	args := append([]string{"run", "--no-color", "--keep-going", "--json-report=" + ginkgoReport, "--output-dir=" + reports}, append(focus(suites), flags...)...)
	var tests []string // flags for the test programs
	if i := slices.Index(args, "--"); i >= 0 {
		args, tests = args[:i:i], args[i+1:]
	}
	var entries []string
	others := false // a suite has tests that do not call RunSpecs
	for _, s := range suites {
		args = append(args, s.Dir)
		entries, others = append(entries, s.entries...), others || len(s.plain) > 0
	}
	if others {
		tests = append([]string{"-test.run=^(" + strings.Join(entries, "|") + ")$"}, tests...) // a -test.run of the user follows it, and the last one counts
	}
	if len(tests) > 0 {
		args = append(append(args, "--"), tests...)
	}
	cmd := exec.CommandContext(ctx, g.program, args...)
	cmd.Dir = g.root
	return cmd
}

// reporterValues is what the file that is compiled into a suite needs to know.
type reporterValues struct {
	Package, Env, Dir string
	Flags             string // value of GOFLAGS, which the suite restores
	FlagsSet          bool   // GOFLAGS was set
}

// addReporter writes the files that are compiled into the suites, and returns the environment with an
// overlay that adds them. If the user's GOFLAGS already contain an overlay, that one stays, and the
// suites do not report their specs one by one.
func (g *ginkgo) addReporter(ctx context.Context, tmp string) (env []string, err error) {
	env = os.Environ()
	ask := exec.CommandContext(context.WithoutCancel(ctx), "go", "env", "GOFLAGS") // also finds values set by go env -w
	ask.Dir = g.root
	goflags, err := child.Output(ask)
	if err != nil {
		return nil, child.Explained(err)
	}
	if strings.Contains(string(goflags), "-overlay") {
		return env, nil
	}
	if err := os.Mkdir(filepath.Join(tmp, "events"), 0o755); err != nil {
		return nil, err
	}
	t, err := template.New("reporter").Delims("<<", ">>").Parse(reporter)
	if err != nil {
		return nil, err
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for i, s := range g.suites {
		path := filepath.Join(tmp, fmt.Sprintf("reporter%d_test.go", i))
		f, err := os.Create(path)
		if err != nil {
			return nil, err
		}
		values := reporterValues{Package: s.suite, Env: specsEnv, Dir: s.Dir}
		values.Flags, values.FlagsSet = os.LookupEnv("GOFLAGS")
		err = t.Execute(f, values)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		overlay.Replace[filepath.Join(s.Dir, "zz_flujo_harness_reporter_test.go")] = path
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(tmp, "overlay.json")
	all := strings.TrimSpace(string(goflags)) + " '-overlay=" + path + "'"
	return append(env, "GOFLAGS="+all, specsEnv+"="+filepath.Join(tmp, "events")), os.WriteFile(path, text, 0o644)
}

// readGinkgo reads and removes the reports in the folder: the one that Ginkgo merged, or, if it ended
// before, those of the suites that had ended.
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
		if json.Unmarshal(text, &some) == nil { // an incomplete file is ignored: its process was killed
			all = append(all, some...)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// moveOutputs moves other files that the user's flags made Ginkgo write to the folder where they
// belong: that of --output-dir, or the folder of the module.
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
		return fmt.Errorf("move the files that Ginkgo wrote: %w", err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, e.Name()), text, 0o644)
		}
		if err != nil {
			return fmt.Errorf("move the files that Ginkgo wrote: %w", err)
		}
	}
	return nil
}

// hints returns advice for messages of Ginkgo about misuse.
func hints(log string) (all []string) {
	text, err := os.ReadFile(log)
	if err != nil {
		return nil
	}
	for said, advice := range map[string]string{
		"calling RunSpecs more than once":    "two suites in one package: Ginkgo runs only one RunSpecs per package; move the second suite to a package of its own",
		"Ginkgo detected a version mismatch": "the command and the package of Ginkgo have different versions: is there a go.work or a second go.mod? Require one version in all of them",
	} {
		if strings.Contains(string(text), said) {
			all = append(all, advice)
		}
	}
	slices.Sort(all)
	return all
}

// refused returns the message by which Ginkgo rejected its flags, or "".
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

// lastLines returns the last n lines of a file, joined by " | ".
func lastLines(path string, n int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' })
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
