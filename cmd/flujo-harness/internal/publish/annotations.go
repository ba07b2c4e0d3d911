package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/render"
	"github.com/flujo/flujo-harness/thresholds"
)

// SummaryBytes is the maximum size of a job's summary. GitHub accepts 1 MiB from each step.
const SummaryBytes = 65_000

// Flags are the flags for publishing a run on the pages of a CI service.
type Flags struct {
	Summary     string
	annotations string
	format      string // format of the log while the tests run
	Comment     Comment
}

// Groups reports whether the failures of a suite are printed as a group of GitHub Actions.
func (f *Flags) Groups() bool { return f.format == "github" }

// Register adds --summary, --annotations and --comment.
func (f *Flags) Register(cmd *cobra.Command) {
	f.Comment.Register(cmd)
	cmd.Flags().StringVar(&f.Summary, "summary", os.Getenv("GITHUB_STEP_SUMMARY"), "append the report as Markdown to this file (default $GITHUB_STEP_SUMMARY, where it is set)")
	standard := "none"
	if os.Getenv("GITHUB_ACTIONS") == "true" {
		standard = "github"
	}
	cmd.Flags().StringVar(&f.annotations, "annotations", standard, `print what failed as annotations of lines: "github" (the default on GitHub Actions) or "none"`)
}

// RegisterFormat adds --format, for a command that runs tests.
func (f *Flags) RegisterFormat(cmd *cobra.Command) {
	format := "plain"
	if os.Getenv("GITHUB_ACTIONS") == "true" {
		format = "github"
	}
	cmd.Flags().StringVar(&f.format, "format", format, `of the log while the tests run: "github" (the default on GitHub Actions) folds what failed in a suite, with whole messages, or "plain"`)
}

// Check reports, before any work is done, why the results could not be published.
func (f *Flags) Check() error {
	if err := f.Comment.Check(); err != nil {
		return err
	}
	if f.annotations != "github" && f.annotations != "none" {
		return cli.Usage(fmt.Errorf(`--annotations %s: use "github" or "none"`, f.annotations))
	}
	if f.format != "" && f.format != "github" && f.format != "plain" {
		return cli.Usage(fmt.Errorf(`--format %s: use "github" or "plain"`, f.format))
	}
	if f.Summary == "" {
		return nil
	}
	if info, err := os.Stat(filepath.Dir(f.Summary)); err != nil || !info.IsDir() {
		return cli.Usage(fmt.Errorf("--summary %s: there is no such folder: make it first", f.Summary))
	}
	return nil
}

// Write publishes a run as the flags say. Secrets were removed when the run was analyzed.
func (f *Flags) Write(ctx context.Context, p project.Project, a *analysis.Analysis, out io.Writer) error {
	if f.annotations == "github" {
		prefix, _ := p.Git(ctx, "rev-parse", "--show-prefix") // "" outside of git
		for _, line := range annotations(a.Run, whoseTitles(a), p.Root, prefix) {
			fmt.Fprintln(cli.Acting(out), line)
		}
	}
	for _, line := range f.Comment.Post(ctx, Of([]*analysis.Analysis{a})) {
		fmt.Fprintln(out, line)
	}
	if f.Summary == "" {
		return nil
	}
	text := bytes.NewBufferString("\n") // the file may end without a newline
	err := render.WriteMarkdown(text, a, SummaryBytes)
	if err == nil {
		err = appendTo(f.Summary, text.Bytes())
	}
	if err != nil {
		return fmt.Errorf("write the summary: %w", err)
	}
	return nil
}

func appendTo(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}

// maxAnnotations is the number of errors, and also of warnings, that GitHub shows for a step.
const maxAnnotations = 10

// annotations returns the GitHub Actions commands that annotate a run: errors for failed specs
// and for failures of suites, at their lines, and for broken limits, without a line; warnings for
// specs that passed only on a retry. File names are relative to the root of the repository; root
// is the folder of the module, and prefix its path in the repository.
func annotations(r reports.Run, whose map[string]string, root, prefix string) []string {
	errs, warnings := &annotated{kind: "error"}, &annotated{kind: "warning"}
	if r.SuiteError != "" {
		errs.add("", 0, "no results of the suites", r.SuiteError)
	}
	if r.Suites != nil {
		for _, s := range r.Suites.Suites {
			for _, f := range s.Failures {
				errs.add(inRepository(root, prefix, f.File), f.Line, s.Path+": "+f.Node+whose[s.Path+"\n"+f.Node], f.Message)
			}
		}
		for i := range r.Suites.Specs {
			s := &r.Suites.Specs[i]
			switch {
			case s.State == reports.Failed:
				errs.add(inRepository(root, prefix, s.File), s.Line, s.Name()+whose[s.Key()], s.Message)
			case s.Retried:
				warnings.add(inRepository(root, prefix, s.File), s.Line, s.Name()+" passed only when retried", s.Message)
			}
		}
	}
	for _, v := range r.Verdicts {
		if v.Outcome == thresholds.Broken || v.Outcome == thresholds.Invalid {
			errs.add("", 0, v.Outcome.String(), v.Reason+"; "+v.Next)
		}
	}
	return append(errs.lines(), warnings.lines()...)
}

// whoseTitles returns what to append to the titles of failures that the change did not cause, by
// the key of the spec, or by suite and node.
func whoseTitles(a *analysis.Analysis) map[string]string {
	titles := map[string]string{}
	for i := range a.Failures {
		f := &a.Failures[i]
		if f.Whose == analysis.ByThisChange || f.Whose == analysis.Unknown {
			continue
		}
		key := f.Spec.Key()
		if f.Outside != nil {
			key = f.Outside.Suite + "\n" + f.Outside.Failure.Node
		}
		titles[key] = fmt.Sprintf(" (%s)", f.Whose)
	}
	return titles
}

// inRepository returns the path of a file relative to the root of the repository, or "" if the
// file does not exist or is elsewhere.
func inRepository(root, prefix, file string) string {
	if file == "" || path.IsAbs(file) || filepath.IsAbs(file) {
		return ""
	}
	if info, err := os.Stat(filepath.Join(root, filepath.FromSlash(file))); err != nil || info.IsDir() {
		return ""
	}
	if file = path.Join(prefix, file); strings.HasPrefix(file, "../") {
		return ""
	}
	return file
}

// annotated collects the annotations of one kind.
type annotated struct {
	kind  string
	shown []string
	more  int
}

func (a *annotated) add(file string, line int, title, message string) {
	if len(a.shown) == maxAnnotations {
		a.more++
		return
	}
	at := ""
	if file != "" {
		at = fmt.Sprintf("file=%s,line=%d,", property(file), max(1, line))
	}
	a.shown = append(a.shown, fmt.Sprintf("::%s %stitle=%s::%s", a.kind, at, property(title), data(message)))
}

func (a *annotated) lines() []string {
	if a.more > 0 { // replaces the last one that would be shown
		a.shown[len(a.shown)-1] = fmt.Sprintf("::%s title=flujo-harness::and %d more: see the report", a.kind, a.more+1)
	}
	return a.shown
}

// data and property escape texts so that GitHub reads them as one value. A line break would end
// the command, and the text after it could be another command.
func data(s string) string {
	s = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
	return reports.Visible(s)
}

func property(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(data(s))
}
