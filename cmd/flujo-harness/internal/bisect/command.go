package bisect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/records"
	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/reports"
)

// Command returns the bisect command.
func Command() *cobra.Command {
	b := bisecting{wrong: 0.01}
	cmd := &cobra.Command{
		Use: "bisect SPEC|BENCHMARK", Args: cobra.ExactArgs(1),
		Short: "Find the commit that made a test fail or a benchmark slower",
		Long: `Finds the commit between --good and --bad that made a spec fail, or fail more often. SPEC is its
name in reports, or a part of it that only one recorded spec has.

Without --good the search starts at the newest recorded run at an ancestor of --bad that passed and
had no failure in the ten such runs before it. The spec is run alone, at commits that are checked
out in folders of their own. A spec that fails at random is run as often as necessary. Each run is
evidence, including runs in the history, and the search ends when the probability that the answer
is wrong is at most 1% (verified with 200 simulated histories for each of eight failure rates). The
history alone never decides: the commit and the one before it are also run here. Commits that do not
build or do not have the spec are skipped; then the answer may be several commits that cannot be
distinguished.

The bad commit is run first, until it fails. The search ends, and finds nothing, after as many
passes as exclude a failure rate of 20% with 95%: 14. If failures between the two commits are
recorded, their rate is used instead, and --rate sets another one.

BENCHMARK is the name of a Go benchmark, such as BenchmarkEncode/large. Each commit is compared
with --good as flujo-harness compare does, and is bad if it is slower by --margin. If --bad is not,
the search ends after that comparison.

Exit codes: 0 the commit was found; 2 usage error; 3 a fault; 4 it was not found: the bad commit
does not fail here, the good commit fails as often, or --max-runs was too small; 130 interrupted.`,
		Example: `  flujo-harness bisect "orders > a cart > adds up"
  flujo-harness bisect TestTotal --good v1.4.0
  flujo-harness bisect BenchmarkEncode --pkg ./codec --good v1.4.0 --margin 10`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			b.cmd, b.out = cmd, cmd.OutOrStdout()
			return b.run(cmd.Context(), args[0])
		},
	}
	f := cmd.Flags()
	f.StringVar(&b.good, "good", "", "good commit (default from the recorded runs)")
	f.StringVar(&b.bad, "bad", "HEAD", "bad commit")
	f.StringVar(&b.db, "db", "", "history database (default .flujo/history.db of the module)")
	f.IntVar(&b.most, "max-runs", mostRuns, "maximum number of runs of the spec, or of comparisons of the benchmark")
	f.StringVar(&b.pkg, "pkg", "", "package of the benchmark (default ./...)")
	f.Float64Var(&b.margin, "margin", 5, "slow-down of the benchmark that makes a commit bad, in percent")
	f.Float64Var(&b.rate, "rate", 0, "lowest failure rate of the spec at the bad commit that is looked for, in percent (default of the recorded runs, or 20)")
	b.store.Register(cmd)
	return cmd
}

// mostRuns is the default of --max-runs.
const mostRuns = 1000

// Benchmark searches the commits from good to bad for the one since which a benchmark of a
// package is slower by a margin in percent. It writes the answer to out.
func Benchmark(cmd *cobra.Command, out io.Writer, name, pkg, good, bad string, margin float64) error {
	b := bisecting{cmd: cmd, out: out, good: good, bad: bad, pkg: pkg, most: mostRuns, margin: margin, wrong: 0.01}
	return b.run(cmd.Context(), name)
}

// bisecting is the state of one bisect command.
type bisecting struct {
	out                io.Writer
	cmd                *cobra.Command
	good, bad, db, pkg string
	most               int
	margin, wrong      float64
	rate               float64 // in percent; 0 for the default
	store              records.StoreFlags

	project  project.Project
	commits  []string // oldest first; the first is good, the last bad
	recorded int      // number of recorded runs used as evidence
}

// trial runs the spec or the benchmark at a commit.
type trial interface {
	// at reports whether it fails there. The error is *untestable if the commit cannot be tested.
	at(ctx context.Context, commit string) (failed bool, err error)
	close() error
}

// untestable is the error of a commit that cannot be tested.
type untestable struct{ why string }

func (e *untestable) Error() string { return e.why }

func (b *bisecting) run(ctx context.Context, name string) (err error) {
	if b.most < 2 {
		return cli.Usage(fmt.Errorf("--max-runs %d: use 2 or more", b.most))
	}
	if b.rate < 0 || b.rate > 100 {
		return cli.Usage(fmt.Errorf("--rate %v: use a percentage above 0 and up to 100", b.rate))
	}
	if b.project, err = project.Find(); err != nil {
		return cli.Fault(err)
	}
	if !b.project.Module {
		return cli.Usage(errors.New("there is no go.mod here or above: call bisect inside a Go module"))
	}
	progress := cli.NewProgress(b.cmd.ErrOrStderr())
	defer progress.End()
	search, t, err := b.prepare(ctx, name, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	answer, found, why, err := b.search(ctx, search, t, progress)
	progress.End()
	if ctx.Err() != nil {
		return &cli.ExitError{Code: cli.ExitInterrupted}
	}
	if err != nil {
		return cli.AsFault(err)
	}
	if !found {
		fmt.Fprintln(b.out, reports.Visible("not found: "+why))
		return &cli.ExitError{Code: cli.ExitInconclusive}
	}
	return cli.Print(b.out, b.answerText(ctx, name, search, answer))
}

// prepare finds the spec or benchmark that name refers to, and the commits to search.
func (b *bisecting) prepare(ctx context.Context, name string, progress *cli.Progress) (*Search, trial, error) {
	if strings.HasPrefix(name, "Benchmark") {
		if b.good == "" {
			return nil, nil, cli.Usage(errors.New("bisect: name a commit at which the benchmark was fast with --good"))
		}
		if err := b.list(ctx); err != nil {
			return nil, nil, err
		}
		t, err := b.benchmark(name)
		s := New(len(b.commits)-1, b.wrong)
		s.Exclude(1) // a verdict decides
		return s, t, err
	}
	h, shared, err := b.store.OpenShared(ctx, b.project, b.project.History(b.db))
	if err != nil {
		return nil, nil, err
	}
	defer h.Close()
	defer shared.Close()
	shared.Print(b.cmd.ErrOrStderr())
	progress.Set("reading the recorded runs", "")
	past, err := findSpec(ctx, h, name)
	if err != nil {
		return nil, nil, err
	}
	if b.good == "" {
		of, err := b.project.CommitOf(ctx, b.bad)
		if err != nil {
			return nil, nil, cli.Usage(fmt.Errorf("bisect: %w", err))
		}
		ancestors, err := b.project.Git(ctx, "rev-list", of.Commit)
		if err != nil {
			return nil, nil, cli.Fault(err)
		}
		if b.good = past.lastGood(strings.Fields(ancestors)); b.good == "" {
			return nil, nil, cli.Usage(fmt.Errorf("bisect: %s passed in no recorded run at an ancestor of %s: name a commit at which it did with --good", past.spec.Name(), b.bad))
		}
	}
	if err := b.list(ctx); err != nil {
		return nil, nil, err
	}
	s := New(len(b.commits)-1, b.wrong)
	for _, o := range past.seen {
		i := slices.IndexFunc(b.commits, func(c string) bool { return reports.SameCommit(c, o.commit) })
		if i < 0 {
			continue
		}
		b.recorded++
		s.Recorded(i, o.passes, o.fails)
	}
	if rate, ok := s.RecordedRate(); b.rate > 0 {
		s.Exclude(b.rate / 100)
	} else if ok {
		s.Exclude(rate)
	}
	t, err := b.specTrial(past.spec, past.format)
	return s, t, err
}

// maxCommits limits the search, because each commit is a hypothesis.
const maxCommits = 20_000

// list fills b.commits.
func (b *bisecting) list(ctx context.Context) error {
	var ends [2]string
	for i, asked := range []string{b.good, b.bad} {
		of, err := b.project.CommitOf(ctx, asked)
		if err != nil {
			return cli.Usage(fmt.Errorf("bisect: %w", err))
		}
		ends[i] = of.Commit
	}
	if ends[0] == ends[1] {
		return cli.Usage(fmt.Errorf("bisect: %s and %s are the same commit, %.12s: there is nothing between them: name an older one with --good", b.good, b.bad, ends[0]))
	}
	if _, err := b.project.Git(ctx, "merge-base", "--is-ancestor", ends[0], ends[1]); err != nil {
		return cli.Usage(fmt.Errorf("bisect: %s is not an ancestor of %s in this clone: name one with --good; in a shallow clone call git fetch --unshallow first", b.good, b.bad))
	}
	for _, how := range []string{"--first-parent", "--ancestry-path"} { // merges count as one commit if good is on the branch itself
		out, err := b.project.Git(ctx, "rev-list", "--topo-order", "--reverse", how, ends[0]+".."+ends[1])
		if err != nil {
			return cli.Fault(err)
		}
		b.commits = append([]string{ends[0]}, strings.Fields(out)...)
		if len(b.commits) > maxCommits {
			return cli.Usage(fmt.Errorf("bisect: there are more than %d commits from %s to %s: name a newer one with --good", maxCommits, b.good, b.bad))
		}
		if how == "--first-parent" && len(b.commits) > 1 {
			if parent, err := b.project.Git(ctx, "rev-parse", b.commits[1]+"^1"); err != nil || parent != ends[0] {
				continue
			}
		}
		return nil
	}
	return nil
}

// search runs the trial until there is an answer. If there is none, why is the reason.
func (b *bisecting) search(ctx context.Context, s *Search, t trial, progress *cli.Progress) (answer Answer, found bool, why string, err error) {
	last := len(b.commits) - 1
	for ctx.Err() == nil {
		a, done := s.Done()
		passed, enough := s.Absent()
		_, benchmark := t.(*benchTrial)
		switch {
		case passed >= enough && benchmark:
			return a, false, fmt.Sprintf("it is not slower at %.12s than at %.12s: nothing to find", b.commits[last], b.commits[0]), nil
		case passed >= enough:
			return a, false, fmt.Sprintf("it passed in %d of %d runs at %.12s, where one that fails in %.3g%% of runs would have failed with 95%%: name the commit at which it fails with --bad, or look for a lower rate with --rate", passed, passed, b.commits[last], 100*s.rate), nil
		case done && a.NoChange:
			return a, false, fmt.Sprintf("it fails at the good end, %.12s, as often as at the bad one: name an older commit with --good", b.commits[0]), nil
		case done:
			return a, true, "", nil
		case s.Runs() >= b.most && passed > 0:
			return a, false, fmt.Sprintf("it passed in %d of %d runs at %.12s, and %d decide: name the commit at which it fails with --bad, or allow more with --max-runs", passed, passed, b.commits[last], enough), nil
		case s.Runs() >= b.most:
			return a, false, fmt.Sprintf("%d runs were not enough: most probable is %.12s, with %.1f%%: allow more with --max-runs", s.Runs(), b.commits[a.Last], 100*a.Sure), nil
		}
		m, ok := s.Next()
		if !ok {
			return a, false, fmt.Sprintf("it cannot be tested at %.12s", b.commits[last]), nil
		}
		progress.Set(fmt.Sprintf("run %d, at commit %d of %d, %.12s", s.Runs()+1, m, last, b.commits[m]), fmt.Sprintf("most probable is %.12s with %.0f%%", b.commits[a.Last], 100*a.Sure))
		failed, err := t.at(ctx, b.commits[m])
		if cannot := new(untestable); errors.As(err, &cannot) {
			if m == last {
				return a, false, fmt.Sprintf("it cannot be tested at the bad end, %.12s: %s", b.commits[m], cannot.why), nil
			}
			s.CannotTest(m)
			continue
		}
		if err != nil {
			return a, false, "", err
		}
		if ctx.Err() == nil {
			s.Ran(m, failed)
		}
	}
	return answer, false, "", nil
}

// answerText returns the text of the answer.
func (b *bisecting) answerText(ctx context.Context, name string, s *Search, a Answer) string {
	var out strings.Builder
	line := func(format string, args ...any) {
		fmt.Fprintln(&out, reports.Visible(fmt.Sprintf(format, args...)))
	}
	if a.First < a.Last {
		line("the first bad commit is one of %d, of which only the last can be tested:", a.Last-a.First+1)
	} else {
		line("the first bad commit is")
	}
	const shown = 20
	for k := a.First; k <= a.Last; k++ {
		if k == a.First+shown && a.Last > k {
			line("  … and %d more, to %.12s", a.Last-k+1, b.commits[a.Last])
			break
		}
		subject, err := b.project.Git(ctx, "show", "--no-patch", "--format=%h %s (%an, %as)", b.commits[k])
		if err != nil {
			subject = b.commits[k]
		}
		line("  %s", subject)
	}
	var before, since [2]int // passes, fails
	for i := range b.commits {
		passes, fails := s.Evidence(i)
		of := &before
		if i >= a.Last {
			of = &since
		} else if i >= a.First {
			continue
		}
		of[0], of[1] = of[0]+passes, of[1]+fails
	}
	failed := "failed"
	if strings.HasPrefix(name, "Benchmark") {
		failed = "was slower"
	}
	line("since then it %s in %d of %s, before in %d of %s", failed, since[1], cli.Plural(int64(since[0]+since[1]), "run"), before[1], cli.Plural(int64(before[0]+before[1]), "run"))
	line("%s made now, %s in the history; at most %v%% of such answers is wrong", cli.Plural(int64(s.Runs()), "run"), cli.Plural(int64(b.recorded), "run"), 100*b.wrong)
	words := []string{"bisect", name, "--good=" + b.commits[a.First-1], "--bad=" + b.commits[a.Last]}
	for _, flag := range []string{"db", "pkg", "margin", "rate"} {
		if b.cmd.Flags().Changed(flag) {
			words = append(words, "--"+flag+"="+b.cmd.Flags().Lookup(flag).Value.String())
		}
	}
	line("again: %s %s", cli.Invocation(), child.ShellLine(words...))
	return out.String()
}

// enter changes the working folder to dir, because packages are resolved relative to it, and
// returns a function that changes back.
func enter(dir string) (back func() error, err error) {
	was, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	return func() error { return os.Chdir(was) }, os.Chdir(dir)
}

// compareTime is the time for one comparison of a benchmark.
const compareTime = 30 * time.Second
