package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/analysis"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/ingest"
	"github.com/flujo/flujo-harness/thresholds"
)

// large reports whether a result file is so large that saving memory is worth more garbage
// collection. A file of 31 MB with 100,000 failures takes 190 MB.
func large(f resultFile) bool {
	info, err := os.Stat(f.path)
	return err == nil && info.Size() >= 8<<20
}

// ingestMemory is the soft memory limit for large files, in bytes. With it, files with hundreds
// of thousands of specs are read within 512 MiB.
const ingestMemory = 416 << 20

func ingestCommand() *cobra.Command {
	var i ingestion
	cmd := &cobra.Command{
		Use: "ingest FILE...", Args: cobra.MinimumNArgs(1),
		Short: "Add result files of other tools to the history",
		Example: `  flujo-harness ingest junit.xml
  flujo-harness ingest --each reports/*.xml
  go test -json ./... | flujo-harness ingest -`,
		Long: `Reads result files, which may be compressed by gzip, and adds them to the history. The format is
recognised by the content:

` + formatTable() + `
FILE is a file, a pattern (not "out/**": name the folder instead), "-" for standard input, or a
folder, which is searched for ` + enumerated(resultExtensions, "and") + `.
Figures of benchmarks are kept and shown next to those of the previous run, but not judged:
flujo-harness compare compares two revisions.

All files of one call are parts of one run; with --each every file is a run of its own. The same
results are added only once. The commit, branch, job and time of the run come from flags, otherwise
from the file, otherwise from the variables of GitHub Actions, GitLab CI or another CI service.

Results with the same name are attempts of one test only if the file shows it: by flakyFailure and
rerunFailure, by totals that do not count the failed attempt, or because its runner is known to
repeat tests in this form (gotestsum --rerun-fails). Otherwise each is a test of its own.

A file is refused if it is empty, truncated or of an unknown format. Then nothing of the call is
added (with --each: nothing of that file). If the totals of an XML file differ from its tests, the
tests are added and the difference is printed; failures that are counted but not listed become a
failure of the suite. Ginkgo JSON, CTRF and the files of flujo-harness must agree with their totals.

The output of failed tests is kept, up to 16 KiB each and without secrets. Properties of a test are
kept as labels, up to 32. Attachments (lines [[ATTACHMENT|path]], properties "attachment", those of
CTRF and NUnit, artifacts of go test, report entries of Ginkgo that name a file) are kept as a name,
a media type and an address or a path below --root, up to 20 per test, without their content.
Properties and outputs of whole testsuites are not kept, and a message says so. Tests of a CTRF file
with the status "other" count as pending.

Some runners do not write every failure: no file has the failure of an after hook of node --test,
or an error of vitest outside of tests. Let their exit codes fail the job too.

Exit codes: 0 everything was added, whatever the results; 2 usage error; 3 a file was refused, or
the history could not be written.`,
		RunE: func(cmd *cobra.Command, named []string) error {
			i.cmd, i.named = cmd, named
			return i.run()
		},
	}
	f := cmd.Flags()
	f.StringVar(&i.db, "db", "", "history database (default .flujo/history.db of the module)")
	f.StringVar(&i.root, "root", "", "folder to which absolute paths in the files are made relative (default the module)")
	f.BoolVar(&i.each, "each", false, "make every file a run of its own")
	f.StringVar(&i.id, "run-id", "", "identity of the run: the same results with the same identity are added once")
	f.StringVar(&i.commit, "commit", "", "commit of the code under test")
	f.StringVar(&i.branch, "branch", "", "branch of the code under test")
	f.StringVar(&i.job, "job", "", "name of the CI job")
	f.StringVar(&i.started, "started", "", "start of the run: 2026-11-23T12:00:00Z, or seconds since 1970")
	i.store.RegisterOutbox(cmd)
	return cmd
}

// formatTable lists the formats and the tools that write them, one format per line.
func formatTable() string {
	var b strings.Builder
	for _, f := range ingest.Formats() {
		fmt.Fprintf(&b, "  %-20s %s\n", f.Name, f.Writers)
	}
	return b.String()
}

// enumerated formats a list as "a, b and c"; word is the conjunction.
func enumerated(all []string, word string) string {
	last := len(all) - 1
	return strings.Join(all[:last], ", ") + " " + word + " " + all[last]
}

// ingestion is the state of one ingest command.
type ingestion struct {
	cmd                                        *cobra.Command
	named                                      []string
	db, root, id, commit, branch, job, started string
	each                                       bool
	store                                      records.StoreFlags
	shared                                     *records.Shared
	at                                         time.Time // value of --started
	ci                                         project.CIRun
	project                                    project.Project
}

func (i *ingestion) run() error {
	if err := i.check(); err != nil {
		return cli.Usage(err)
	}
	p, err := project.Find()
	if err != nil {
		return cli.Fault(err)
	}
	files, err := resultFiles(i.named)
	if err != nil {
		return err
	}
	if i.id != "" && i.each && len(files) > 1 {
		return cli.Usage(fmt.Errorf("--run-id %s with --each: %d files would be one run: leave out one of the two", i.id, len(files)))
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(ingestMemory))
	if slices.ContainsFunc(files, large) {
		debug.SetGCPercent(25)
	}
	i.ci, i.project = project.CIIdentity(os.Getenv), p
	root := i.root
	if root == "" && p.Module {
		root = p.Root
	}
	if root != "" {
		if root, err = filepath.Abs(root); err != nil {
			return cli.Fault(err)
		}
	}
	readings, names, failed := i.read(files, root)
	if failed != nil && !i.each || len(readings) == 0 {
		return cli.Fault(cmp.Or(failed, errors.New("ingest: no file of results is among those found")))
	}
	if i.db == "" {
		if err := needWritable(p, []string{"--db FILE"}); err != nil {
			return err
		}
	}
	history, err := history.Open(i.cmd.Context(), p.History(i.db))
	if err != nil {
		return cli.Fault(errors.Join(failed, err))
	}
	defer history.Close()
	if i.shared, err = i.store.Connect(i.cmd.Context(), p, history); err != nil {
		return err
	}
	defer i.shared.Close()
	i.shared.Pull(i.cmd.Context())
	runs := [][]*ingest.Reading{readings}
	if i.each {
		runs = slices.Collect(slices.Chunk(readings, 1))
	}
	for k, parts := range runs {
		named := i.named
		if i.each { // the command of this run alone: with all names in every row, size would be quadratic
			named = names[k : k+1]
		}
		if err := i.keep(i.cmd.Context(), history, parts, named); err != nil {
			return cli.Fault(errors.Join(failed, err))
		}
	}
	i.shared.Print(i.cmd.OutOrStdout())
	if failed != nil {
		return cli.Fault(failed)
	}
	return nil
}

// check returns an error for invalid flags, before any work is done.
func (i *ingestion) check() error {
	if err := reports.CheckCommit(i.commit); err != nil {
		return fmt.Errorf("--commit: %w", err)
	}
	if i.started == "" {
		return nil
	}
	if s, err := strconv.ParseInt(i.started, 10, 64); err == nil && s > 0 && s < 1e11 {
		i.at = time.Unix(s, 0).UTC()
		return i.past()
	}
	t, err := time.Parse(time.RFC3339, i.started)
	if err != nil || t.Year() < 1970 {
		return fmt.Errorf("--started %s: write it as 2026-11-23T12:00:00Z, or in seconds since 1970", i.started)
	}
	i.at = t.UTC()
	return i.past()
}

// past returns an error for a start in the future.
func (i *ingestion) past() error {
	if i.at.After(time.Now().Add(clockError)) {
		return fmt.Errorf("--started %s: it is in the future, and the run would stay the newest: give the time at which it did start", i.started)
	}
	return nil
}

// read reads all files, but each distinct content once, and prints what they contain. paths are
// those of the readings. The error joins those of all files that could not be read.
func (i *ingestion) read(files []resultFile, root string) (readings []*ingest.Reading, paths []string, failed error) {
	seen := map[string]string{} // file name by digest of the content
	for _, f := range files {
		var r *ingest.Reading
		var err error
		name := f.path
		if name == "-" {
			name = "standard input"
			r, err = ingest.Read(untilInterrupted(i.cmd.Context(), func() (io.Reader, error) { return i.cmd.InOrStdin(), nil }), root)
		} else if info, statErr := os.Stat(name); statErr == nil && !info.Mode().IsRegular() {
			r, err = ingest.Read(untilInterrupted(i.cmd.Context(), func() (io.Reader, error) { return os.Open(name) }), root)
		} else {
			r, err = ingest.ReadFile(name, root)
		}
		switch {
		case f.passedOver(err):
			i.say("%s: passed over: %v", name, ingest.ErrUnknownFormat)
		case err != nil:
			failed = errors.Join(failed, err)
		case seen[r.Digest] != "":
			i.say("%s: the same as %s: taken once", name, seen[r.Digest])
		default:
			seen[r.Digest] = name
			i.say("%s: %s, %s", name, r.Format, foundLine(r.Results, r.Benchmarks))
			for _, note := range r.Notes {
				i.say("%s: note: %s", name, note)
			}
			readings, paths = append(readings, r), append(paths, f.path)
		}
	}
	return readings, paths, failed
}

// untilInterrupted reads from the reader that open returns, and fails when ctx ends. Both opening
// a named pipe and reading from it block until it has a writer. The opened file stays open until
// the program ends.
func untilInterrupted(ctx context.Context, open func() (io.Reader, error)) io.Reader {
	out, in := io.Pipe()
	context.AfterFunc(ctx, func() { in.CloseWithError(context.Cause(ctx)) })
	go func() {
		from, err := open()
		if err == nil {
			_, err = io.Copy(in, from)
		}
		in.CloseWithError(err)
	}()
	return out
}

// say prints a line. Control characters are escaped, because names and contents of files are not
// trusted.
func (i *ingestion) say(format string, args ...any) {
	fmt.Fprintln(i.cmd.OutOrStdout(), reports.Visible(fmt.Sprintf(format, args...)))
}

// foundLine summarizes the content of a file or a run.
func foundLine(r *reports.Results, all []reports.Benchmark) string {
	switch {
	case len(all) == 0:
		return countsLine(r)
	case r == nil || len(r.Specs) == 0 && r.SuiteFailures() == 0:
		return analysis.FiguresText(all)
	}
	return countsLine(r) + "; " + analysis.FiguresText(all)
}

// countsLine returns "911 specs: 910 passed, 1 failed, 0 skipped", with unusual counts added.
func countsLine(r *reports.Results) string {
	c := r.Counts()
	text := fmt.Sprintf("%s: %s passed, %s failed, %s skipped", cli.Plural(int64(c.All()), "spec"), cli.Grouped(int64(c.Passed)), cli.Grouped(int64(c.Failed)), cli.Grouped(int64(c.Skipped)))
	if c.Pending > 0 {
		text += fmt.Sprintf(", %d pending", c.Pending)
	}
	if c.Retried > 0 {
		text += fmt.Sprintf(" (%d of those passed after a retry)", c.Retried)
	}
	if n := r.SuiteFailures(); n > 0 {
		text += ", " + cli.Plural(int64(n), "failure") + " outside the specs"
	}
	return text
}

// keep appends the run that consists of the parts.
func (i *ingestion) keep(ctx context.Context, history *history.History, parts []*ingest.Reading, named []string) error {
	results, several := ingest.Combine(parts...)
	if several > 0 {
		i.say("note: %s of specs that ran in another of the files too: what failed in one of them is taken as failed; --each keeps the files apart", cli.Plural(int64(several), "result"))
	}
	r := i.describe(parts, results, named)
	i.project.Locate(ctx, &r, i.ci)
	added, err := history.Append(ctx, r)
	switch {
	case err != nil:
		return err
	case added.Known:
		i.say("run %d: was in the history already: nothing was added", added.ID)
	default:
		i.say("run %d: %s", added.ID, foundLine(r.Suites, r.Benchmarks))
	}
	i.shared.Push(ctx, r)
	if i.each {
		return nil
	}
	newest, _, err := history.Lines(ctx, 1)
	if err != nil {
		return err
	}
	tests, err := history.LinesOfTests(ctx, 1)
	if err != nil || len(newest) == 0 || len(tests) == 0 && !r.OnlyMeasured() { // none: somebody pruned it meanwhile
		return err
	}
	switch {
	case newest[0].ID == added.ID:
	case r.OnlyMeasured(): // gate takes no such run
		i.say("note: the newest run is still run %d: report takes run %d where --run %d names it", newest[0].ID, added.ID, added.ID)
	case tests[0].ID == added.ID:
		i.say("note: the newest run is still run %d, which has no specs: gate takes run %d, and report where --run %d names it", newest[0].ID, added.ID, added.ID)
	default:
		i.say("note: the newest run is still run %d: gate and report take run %d where --run %d names it", newest[0].ID, added.ID, added.ID)
	}
	return nil
}

// widestZone is the largest offset from UTC of a clock without a zone. clockError is the largest
// assumed difference between the clocks of two machines.
const widestZone, clockError = 14 * time.Hour, time.Hour

// date sets the start of the run. It ignores a start in the future, with which the run would
// remain the newest for a long time, and gate would judge it in place of later runs.
func (i *ingestion) date(r *reports.Run, noZone bool) {
	off := clockError
	if noZone {
		off = widestZone
	}
	switch now := time.Now(); {
	case !i.at.IsZero():
		r.Started = i.at
	case r.Started.After(now.Add(off)):
		i.say("note: the start that the file gives is in the future, and not taken: %s", r.Started.Format(time.RFC3339))
		r.Started = time.Time{}
	case noZone && !i.each && now.Sub(r.Started) < off: // the clock may be hours behind those of other runs
		r.Undated = true
	}
}

// describe returns the run as described by flags, files and CI.
func (i *ingestion) describe(parts []*ingest.Reading, results *reports.Results, named []string) reports.Run {
	r := reports.Run{Command: commandLine(i.cmd, named, nil), Suites: results, Benchmarks: ingest.CombineBenchmarks(parts...), Complete: true,
		Outcome: thresholds.Held, Facts: i.ci.Facts}
	var formats, digests []string
	var ended time.Time
	var build string
	for _, part := range parts {
		digests = append(digests, part.Digest)
		if !slices.Contains(formats, part.Format) {
			formats = append(formats, part.Format)
		}
		if !part.Started.IsZero() {
			if r.Started.IsZero() || part.Started.Before(r.Started) {
				r.Started = part.Started
			}
			if end := part.Started.Add(part.Took); end.After(ended) {
				ended = end
			}
		}
		r.Commit, r.Branch, build = cmp.Or(r.Commit, part.Commit), cmp.Or(r.Branch, part.Branch), cmp.Or(build, part.Build)
	}
	r.Seconds = ended.Sub(r.Started).Seconds()
	r.Format = strings.Join(formats, ", ")
	r.Commit, r.Branch = cmp.Or(i.commit, r.Commit, i.ci.Commit), cmp.Or(i.branch, r.Branch, i.ci.Branch)
	if job := cmp.Or(i.job, build); job != "" {
		r.Facts = append(slices.DeleteFunc(slices.Clone(r.Facts), func(f reports.Fact) bool { return f.Name == "CI job" }), reports.Fact{Name: "CI job", Value: job})
	}
	i.date(&r, slices.ContainsFunc(parts, func(part *ingest.Reading) bool { return part.NoZone }))
	slices.Sort(digests)
	content := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(digests, "\n"))))
	if r.Key = i.id; r.Key == "" {
		r.Key = project.Joined(cmp.Or(i.ci.ID, "file"), i.commit, i.started, content)
	}
	switch {
	case len(results.Specs) == 0 && results.SuiteFailures() == 0: // only benchmarks, which are not judged
		r.Suites, r.Outcome = nil, thresholds.Inconclusive
	case !results.Green():
		r.Outcome, r.ExitCode = thresholds.Broken, cli.ExitBroken
	case results.Focused():
		r.Outcome, r.ExitCode = thresholds.Inconclusive, cli.ExitFocused
	}
	return r
}
