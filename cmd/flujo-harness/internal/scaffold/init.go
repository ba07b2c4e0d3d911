package scaffold

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/scanner"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/harness/workdir"
)

//go:embed templates
var templates embed.FS

const (
	harnessTool   = project.HarnessModule + "/cmd/flujo-harness"
	ginkgoPackage = "github.com/onsi/ginkgo/v2"
	ginkgoTool    = ginkgoPackage + "/ginkgo"
	gomegaModule  = "github.com/onsi/gomega"
)

func Command() *cobra.Command {
	var s scaffold
	cmd := &cobra.Command{
		Use: "init [dir]", Args: cobra.MaximumNArgs(1),
		Short: "Write a CI workflow for the tests of a module",
		Long: `Writes a workflow for CI into the Go module of dir (default: the working folder). The workflow
runs all tests, keeps their history and shows the results on the change. init also adds a line to
.gitignore for the files that runs leave in the module. If there is a folder thresholds/limits, it
writes a job to be started by hand, which calibrates limits on a runner and proposes them for
review.

init recognises GitHub Actions and GitLab CI by their files and by the remotes of git; --ci names
them instead. It changes neither go.mod nor any Go file. If you have a .gitlab-ci.yml, the job is
written to another file, for you to include.

flujo-harness init pipeline adds a durable pipeline with its suite to the module.

Existing files with other content are kept, unless --force is given. --dry-run shows what init would
write. If everything is there already, init changes nothing.

Exit codes: 0 everything is there; 1 files with other content were kept; 2 usage error, or no Go
module; 3 a file could not be read or written.`,
		Example: `  flujo-harness init
  flujo-harness init --ci github --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error { return s.called(cmd, args) },
	}
	cmd.Flags().StringSliceVar(&s.ci, "ci", nil, `CI to write workflows for: "github", "gitlab", "github,gitlab" or "none" (default what is found)`)
	s.register(cmd)
	cmd.AddCommand(initPipelineCommand())
	return cmd
}

func initPipelineCommand() *cobra.Command {
	s := scaffold{pipeline: true}
	cmd := &cobra.Command{
		Use: "pipeline [dir]", Args: cobra.MaximumNArgs(1),
		Short: "Write a durable pipeline and its suite into a module",
		Long: `Writes a package with a small durable pipeline, its Ginkgo suite and the folder of its limits into
the Go module of dir (default: the working folder). It prints which commands come next, and does
not change go.mod.

If a file exists with other content, nothing is written, unless --force is given. --dry-run shows
what would be written. If everything is there already, nothing changes. The limits themselves are
made by flujo-harness calibrate, which measures.

Exit codes: 0 everything is there; 1 a file has other content, nothing was written; 2 usage error,
or no Go module; 3 a file could not be read or written.`,
		Example: `  flujo-harness init pipeline
  flujo-harness init pipeline --package orders`,
		RunE: func(cmd *cobra.Command, args []string) error { return s.called(cmd, args) },
	}
	cmd.Flags().StringVar(&s.name, "package", "flows", "name of the package, and of its folder in the module")
	s.register(cmd)
	return cmd
}

func (s *scaffold) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&s.force, "force", false, "overwrite files that have other content")
	cmd.Flags().BoolVar(&s.dry, "dry-run", false, "write nothing; show what would be written")
}

func (s *scaffold) called(cmd *cobra.Command, args []string) error {
	s.out = cmd.OutOrStdout()
	dir := "."
	if len(args) == 1 {
		dir = args[0]
	}
	return s.run(cmd.Context(), dir)
}

// scaffold is the state of one init command.
type scaffold struct {
	pipeline bool     // write the package of a pipeline, not the workflows
	name     string   // name of the package
	ci       []string // nil means to detect them
	refused  bool     // --ci none
	force    bool
	dry      bool
	out      io.Writer

	from    string // working folder of the caller
	project project.Project
	mod     goMod
}

// goMod has the parts of go.mod that init needs.
type goMod struct {
	Module        struct{ Path string }
	Require, Tool []struct{ Path string }
	Replace       []struct {
		Old, New struct{ Path, Version string }
	}
}

// scaffoldFile is a file that init writes.
type scaffoldFile struct {
	path     string // path in the module, with slashes
	template string // name of the template
	text     []byte
	state    string // fileWritten, fileUnchanged or fileKept
	note     string // remark on the state
}

const (
	fileWritten   = "written"
	fileUnchanged = "unchanged"
	fileKept      = "kept" // not written, because it exists with other content
)

// run checks everything before it writes any file.
func (s *scaffold) run(ctx context.Context, dir string) error {
	if err := s.enter(ctx, dir); err != nil {
		return err
	}
	if s.ci == nil && !s.pipeline {
		s.ci = s.found(ctx)
	}
	if err := s.check(); err != nil {
		return cli.Usage(err)
	}
	files, err := s.plan()
	if err != nil {
		return cli.Fault(err)
	}
	var kept []string
	for _, f := range files {
		if f.state == fileKept {
			kept = append(kept, f.path)
		}
	}
	whole := !s.pipeline || len(kept) == 0
	for _, f := range files {
		if f.state == fileWritten {
			if !whole {
				continue
			}
			if err := s.write(f); err != nil {
				return cli.Fault(fmt.Errorf("write %s: %w", f.path, err))
			}
		}
		s.tell(f)
	}
	switch {
	case s.dry:
		s.show(files)
	case whole:
		s.next(ctx)
	}
	if !whole {
		return &cli.ExitError{Code: cli.ExitBroken, Err: fmt.Errorf("%d of %d files have other content: %s: nothing was written: choose another --package, or overwrite with --force",
			len(kept), len(files), strings.Join(kept, ", "))}
	}
	if len(kept) > 0 {
		return &cli.ExitError{Code: cli.ExitBroken, Err: fmt.Errorf("%d of %d files have other content and were kept: %s", len(kept), len(files), strings.Join(kept, ", "))}
	}
	return nil
}

// enter changes the working folder to dir, so that the module is searched from there.
func (s *scaffold) enter(ctx context.Context, dir string) (err error) {
	if s.from, err = os.Getwd(); err != nil {
		return cli.Fault(fmt.Errorf("find the working folder: %w", err))
	}
	if err := os.Chdir(dir); err != nil {
		return cli.Usage(fmt.Errorf("%w: name the folder of a Go module", err))
	}
	if s.project, err = project.Find(); err != nil {
		return cli.Fault(err)
	}
	if !s.project.Module {
		return cli.Usage(errors.New("there is no go.mod here or above: call go mod init example.org/yours first"))
	}
	cmd := exec.CommandContext(ctx, "go", "mod", "edit", "-json")
	cmd.Dir = s.project.Root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		return cli.Usage(fmt.Errorf("read go.mod: %w: %s", err, strings.TrimSpace(stderr.String())))
	}
	if err := json.Unmarshal(text, &s.mod); err != nil {
		return cli.Fault(fmt.Errorf("read go.mod: %w", err))
	}
	if s.mod.Module.Path == "" {
		return cli.Usage(errors.New("go.mod names no module: call go mod edit -module example.org/yours first"))
	}
	return nil
}

var packageName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// check returns an error for invalid flags.
func (s *scaffold) check() error {
	if slices.Equal(s.ci, []string{"none"}) {
		s.ci, s.refused = nil, true
	}
	for _, ci := range s.ci {
		if ci != "github" && ci != "gitlab" {
			return fmt.Errorf(`--ci %s: use "github", "gitlab", both with a comma, or "none"`, strings.Join(s.ci, ","))
		}
	}
	if !s.pipeline {
		return nil
	}
	switch {
	case !packageName.MatchString(s.name) || strings.HasSuffix(s.name, "_test") || token.IsKeyword(s.name):
		return fmt.Errorf("--package %q: use the name of a Go package: lower-case letters, digits and _, a letter first, no keyword, no _test at the end", s.name)
	case slices.Contains([]string{"main", "init", "vendor", "testdata", "documentation"}, s.name) || s.taken():
		return fmt.Errorf("--package %s: Go, or the files that init writes, use this name for something else: choose another one", s.name)
	}
	return s.foreign()
}

// taken reports whether the Go files already use the name of the package as an identifier.
func (s *scaffold) taken() bool {
	for _, f := range s.files() {
		if !strings.HasSuffix(f.path, ".go") {
			continue
		}
		text := f.source()
		var words scanner.Scanner
		words.Init(token.NewFileSet().AddFile(f.path, -1, len(text)), text, nil, 0)
		for {
			_, tok, word := words.Scan()
			if tok == token.IDENT && word == s.name {
				return true
			}
			if tok == token.EOF {
				break
			}
		}
	}
	return false
}

// foreign returns an error if the folder contains a package with another name.
func (s *scaffold) foreign() error {
	there, err := filepath.Glob(filepath.Join(s.project.Root, s.name, "*.go"))
	if err != nil {
		return err
	}
	for _, path := range there {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly)
		if err == nil && strings.TrimSuffix(f.Name.Name, "_test") != s.name {
			return fmt.Errorf("--package %s: %s is of package %s: choose another name", s.name, workdir.ShortPath(path), f.Name.Name)
		}
	}
	return nil
}

// files returns the files that are created from templates.
func (s *scaffold) files() []scaffoldFile {
	if s.pipeline {
		return []scaffoldFile{
			{path: s.name + "/review.go", template: "review.go"},
			{path: s.name + "/review_test.go", template: "review_test.go"},
			{path: s.name + "/overhead_test.go", template: "overhead_test.go"},
			{path: s.name + "/" + s.name + "_suite_test.go", template: "flows_suite_test.go"},
			{path: "thresholds/limits/README.md", template: "limits.md"},
		}
	}
	var list []scaffoldFile
	if slices.Contains(s.ci, "github") {
		list = append(list, scaffoldFile{path: ".github/workflows/flujo-harness.yml", template: "github.yml"},
			scaffoldFile{path: ".github/workflows/flujo-harness-record.yml", template: "github_record.yml"})
		if s.limits() {
			list = append(list, scaffoldFile{path: ".github/workflows/flujo-harness-calibrate.yml", template: "github_calibrate.yml"})
		}
	}
	if slices.Contains(s.ci, "gitlab") {
		path := ".gitlab-ci.yml"
		if s.hasOwnGitLab() {
			path = gitlabInclude
		}
		list = append(list, scaffoldFile{path: path, template: "gitlab.yml"})
	}
	return list
}

// source returns the text of the file's template, which is embedded in the program.
func (f scaffoldFile) source() []byte {
	text, _ := templates.ReadFile("templates/" + f.template + ".tmpl")
	return text
}

// plan creates the content of the files and compares it with existing files.
func (s *scaffold) plan() ([]scaffoldFile, error) {
	files := s.files()
	for i := range files {
		if err := s.compare(&files[i]); err != nil {
			return nil, err
		}
	}
	if s.pipeline {
		return files, nil
	}
	ignore, err := s.ignore()
	return append(files, ignore), err
}

func (s *scaffold) compare(f *scaffoldFile) error {
	// These delimiters do not conflict with the braces of the workflows and the brackets of
	// generic types.
	t, err := template.New(f.template).Delims("<<", ">>").Parse(string(f.source()))
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, struct {
		Package, Module, Tool, Install string
		Benchmarks, Limits             bool
	}{s.name, s.mod.Module.Path, s.tool(), s.install(), s.benchmarks(), s.limits()}); err != nil {
		return err
	}
	f.text, f.state = text.Bytes(), fileWritten
	there, err := os.ReadFile(s.at(*f))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case bytes.Equal(bytes.ReplaceAll(there, []byte("\r\n"), []byte("\n")), f.text): // git may convert line endings
		f.state = fileUnchanged
	case s.force:
		f.note = "overwritten"
	default:
		f.state, f.note = fileKept, "exists and differs from what init would write; --force overwrites it, --dry-run shows what init would write"
	}
	return nil
}

func (s *scaffold) at(f scaffoldFile) string {
	return filepath.Join(s.project.Root, filepath.FromSlash(f.path))
}

func (s *scaffold) write(f scaffoldFile) error {
	if s.dry {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(s.at(f)), 0o755); err != nil {
		return err
	}
	return cli.WriteWhole(s.at(f), f.text)
}

func (s *scaffold) tell(f scaffoldFile) {
	state := f.state
	if s.dry && state == fileWritten {
		state = "would write"
	}
	line := fmt.Sprintf("%-11s %s", state, f.path)
	if f.note != "" {
		line += ": " + f.note
	}
	s.say("%s", line)
}

// show prints the content that init would write for files that are missing or differ.
func (s *scaffold) show(files []scaffoldFile) {
	for _, f := range files {
		if f.state != fileUnchanged {
			s.say("\n-- %s --\n%s", f.path, bytes.TrimSuffix(f.text, []byte("\n")))
		}
	}
}

// next prints the commands that lead to a first run.
func (s *scaffold) next(ctx context.Context) {
	if slices.Contains(s.ci, "gitlab") && s.hasOwnGitLab() {
		s.say("note: .gitlab-ci.yml is your own: add to it: include: {local: %s}", gitlabInclude)
	}
	if !s.pipeline && len(s.ci) == 0 {
		why := "no CI system was found: name one with --ci github or --ci gitlab"
		if s.refused {
			why = "--ci none"
		}
		s.say("note: no workflow was written: %s", why)
	}
	if len(s.ci) > 0 {
		if below, err := s.project.Git(ctx, "rev-parse", "--show-prefix"); err == nil && below != "" {
			s.say("note: CI reads its files at the root of the repository only, and this module is in %s of it: move them, and make them work in that folder", below)
		}
		for _, r := range s.mod.Replace {
			if r.Old.Path == project.HarnessModule && r.New.Version == "" {
				s.say("note: go.mod replaces %s by the folder %s: CI needs it, too", project.HarnessModule, r.New.Path)
			}
		}
	}
	s.say("next:")
	away, err := filepath.Rel(s.from, s.project.Root)
	if err != nil {
		away = s.project.Root
	}
	if strings.Contains(away, " ") {
		away = `"` + away + `"`
	}
	if away != "." { // the commands apply to the whole module
		s.say("  cd %s", away)
	}
	if s.pipeline {
		for _, line := range s.missing() {
			s.say("  %s", line)
		}
	}
	if !s.pipeline {
		s.say("  %s run", s.tool())
		return
	}
	s.say("  %-42s # specs, a measurement, a report", s.tool()+" run ./...")
	if limits, err := filepath.Glob(filepath.Join(s.project.Root, "thresholds", "limits", "*.toml")); err == nil && len(limits) == 0 {
		s.say("  # the limit by which run judges from then on:")
		s.say("  "+s.tool()+" calibrate --suite ./%s --workload review --write", s.name)
	}
}

// missing returns the commands that add missing requirements and tools to go.mod.
func (s *scaffold) missing() (lines []string) {
	has := func(list []struct{ Path string }, path string) bool {
		return slices.ContainsFunc(list, func(e struct{ Path string }) bool { return e.Path == path })
	}
	if !has(s.mod.Require, project.HarnessModule) {
		lines = append(lines, "# No version is released yet. Until then, in place of the first go get, CLONE being a clone:",
			fmt.Sprintf("# go mod edit -require %[1]s@v0.0.0 -replace %[1]s=CLONE", project.HarnessModule))
	}
	if !has(s.mod.Tool, ginkgoTool) {
		lines = append(lines, "go get -tool "+ginkgoTool)
	}
	var modules []string
	for _, m := range []string{project.HarnessModule, ginkgoPackage, gomegaModule} {
		if !has(s.mod.Require, m) {
			modules = append(modules, m)
		}
	}
	if len(modules) > 0 {
		lines = append(lines, "go get "+strings.Join(modules, " "))
	}
	if len(lines) > 0 {
		lines = append(lines, "go mod tidy")
	}
	return lines
}

func (s *scaffold) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }
