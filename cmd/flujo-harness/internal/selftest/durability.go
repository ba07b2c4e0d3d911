package selftest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/project"
	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/harness/machine"
	"github.com/flujo/flujo-harness/reports/ingest"
)

// proof is a stress experiment that tries to lose data, or to make the engine repeat or skip
// work. It is a test of this module; the fields describe it and give its command line.
type proof struct {
	name string
	does string
	must string   // required result, also of its control
	in   []string // packages
	run  string   // tests, as for -run
	n    string   // flag for N, with %d for the value; "" if there is no N
	long int      // N for --long
	unit string   // unit of N
	seed string   // flag for the seed, with %d for the value; "" if nothing is random
	more []string // more flags
}

// proofs lists all experiments.
var proofs = []proof{
	{name: "power-loss", does: "images of the disk at any moment of simultaneous runs and of recovery: unsynced writes kept, dropped, torn or garbled",
		must: "0 acknowledged saves lost, 0 torn; control: NORMAL loses, OFF loses and tears",
		in:   []string{"./core/sqlite"}, run: "^TestPowerLoss", n: "-proof.n=%d", long: 10_000, unit: "images", seed: "-proof.seed=%d"},
	{name: "kill-commits", does: "kill -9 before and after every commit of a pipeline of all nodes, again while it recovers, and at random",
		must: "0 saves lost, 0 records doubled, 0 saved steps called again, every run ends like an undisturbed one; control: a backend that forgets and one that does not fence are found",
		in:   []string{"./core/sqlite"}, run: "^TestRecoveryAfterKill$", n: "-coretest.rounds=%d", long: 2000, unit: "kills at random", seed: "-coretest.seed=%d"},
	{name: "kill-operations", does: "kill -9 before any operation on the files: opening, saving, checkpoint, closing, recovering",
		must: "0 acknowledged saves lost; control: a backend that acknowledges too early loses saves",
		in:   []string{"./core/sqlite"}, run: "^TestKilledAtFileOperations$", n: "-proof.n=%d", long: 2000, unit: "kills", seed: "-proof.seed=%d"},
	{name: "disk-faults", does: "an I/O error, or a full disk, at every operation on the files, once or from then on",
		must: "0 corrupt, 0 panics, a clear error, works again; control: a hidden error is found",
		in:   []string{"./core/sqlite"}, run: "^(TestFaultsOfTheDisk|TestDiskErrorsAreNotBare)$", n: "-proof.n=%d", long: 10_000, unit: "faults, at most all there are", seed: "-proof.seed=%d"},
	{name: "limits", does: "a limit on file sizes, no free descriptor, a read-only file system, no space for the log",
		must: "a clear error, nothing lost, works again when the cause is removed",
		in:   []string{"./core/sqlite"}, run: "^(TestTheSystemHasNoMore|TestReadOnlyDatabase|TestOpenWithoutRoomForTheLog|TestPadLeavesAFullDiskAlone)$"},
	{name: "fencing", does: "a worker stopped in its step wakes up when another has its run: at once, after that step, after the end",
		must: "each refused, 0 records doubled; control: without a fence they are",
		in:   []string{"./core/sqlite"}, run: "^TestFencing$", n: "-coretest.rounds=%d", long: 500, unit: "workers", seed: "-coretest.seed=%d"},
	{name: "rivals", does: "two processes on one database want the same answer, claim or run",
		must: "one wins, 0 doubled; control: a backend that refuses nothing is found",
		in:   []string{"./core/sqlite"}, run: "^TestRivals$", n: "-coretest.rounds=%d", long: 500, unit: "rounds of each of 3 contests", seed: "-coretest.seed=%d"},
	{name: "flipped-bits", does: "one bit of a database flipped, anywhere",
		must: "0 missed; control: without checksums many are not noticed",
		in:   []string{"./core/sqlite"}, run: "^(TestFlippedBits|TestDamagedRunIsNoticed|TestDamagedRecordIsNoticed|TestLastRecordUnderAnotherKeyIsNoticed)$", n: "-proof.n=%d", long: 10_000, unit: "bits", seed: "-proof.seed=%d"},
	{name: "model", does: "generated histories of operations, also by hostile tenants, on the backend and on a model",
		must: "0 differences, 0 leaks between tenants; control: 8 backends with a defect each are found",
		in:   []string{"./core/sqlite"}, run: "^TestModel$", n: "-rapid.checks=%d", long: 4000, unit: "histories of about 30 operations", seed: "-rapid.seed=%d"},
	{name: "runaways", does: "pipelines that do not end, panic, ignore their context, or leave goroutines and files open",
		must: "all stopped, descriptors and goroutines as before; control: what is left open is found",
		in:   []string{"./core/sqlite"}, run: "^TestRunawaysAreStopped$", n: "-proof.n=%d", long: 1000, unit: "runs", seed: "-proof.seed=%d"},
	{name: "soak", does: "64 simultaneous runs and a reader, killed every few seconds",
		must: "0 finished runs lost, memory flat, the log bounded, p99 stated",
		in:   []string{"./core/sqlite"}, run: "^TestSoak$", n: "-proof.for=%dm", long: 30, unit: "minutes", seed: "-proof.seed=%d"},
	{name: "server-kills", does: "kill -9 of the PostgreSQL server and all its processes while runs are saved",
		must: "0 acknowledged records lost, 0 errors; control: synchronous_commit=off loses",
		in:   []string{"./core/postgres"}, run: "^TestServerKilledUnderLoad$", n: "-proof.n=%d", long: 20, unit: "kills"},
	{name: "server-fleet", does: "1,000 workers on one PostgreSQL server; every fifth run is taken over while its first worker is still saving",
		must: "each record exists once, and was acknowledged once; control: a fence without the epoch is found",
		in:   []string{"./core/postgres"}, run: "^TestFleet$", n: "-proof.n=%d", long: 100_000, unit: "runs"},
	{name: "server-partition", does: "the network between an executor and the PostgreSQL server cut in silence (network namespaces, as root)",
		must: "0 acknowledged records lost, no error if the cut is short; control: a long cut leaves saves in doubt",
		in:   []string{"./core/postgres"}, run: "^TestPartition$", n: "-proof.n=%d", long: 20, unit: "cuts"},
	{name: "server-disk", does: "the disk of the PostgreSQL server full, that of its tables and that of its log (small tmpfs, as root)",
		must: "a definite, clear error, nothing lost, works again when there is space",
		in:   []string{"./core/postgres"}, run: "^TestFullDiskOf"},
	{name: "hostile-files", does: "reports, results, cassettes, scripts, answers: bombs, deep nesting, second roots, duplicate names, 64 MiB",
		must: "refused with the position, within limits of time and memory",
		in:   []string{"./reports/ingest", "./stubs", "./stubs/cassette", "./stubs/redact", "./core", "./harness"}, run: "WorkIsLinear|NoResultsAreRefused|Bombs|IsBounded|UnpacksToTooMuch|WithoutEnd|BadTables|BadCassettes|HostileAnswers"},
	{name: "hostile-texts", does: "200 hostile texts in every name and message, into every output; the page in a browser, if there is one",
		must: "0 scripts run, 0 requests, 0 escapes to the terminal, 0 canary secrets",
		in:   []string{"./reports/history", "./reports/render", "./cmd/flujo-harness"}, run: "Hostile|EveryOutputOfEveryAnalysis|SecretsAreRemoved|TestPageInChromium/hostile"},
	{name: "build", does: "the committed source built twice, in two folders with empty caches",
		must: "the same bytes; control: without -trimpath they differ",
		in:   []string{"./cmd/flujo-harness"}, run: "^TestReproducibleBuild$", more: []string{"-reproducible"}},
	fuzzing("core", "FuzzResumeStored"),
	fuzzing("core/internal/codec", "FuzzDecodeStored", "FuzzTextIsWrittenAsByEncodingJSON"),
	fuzzing("stubs", "FuzzParseTable"),
	fuzzing("stubs/cassette", "FuzzOpen"),
	fuzzing("stubs/provider", "FuzzServer", "FuzzAnswer"),
	fuzzing("stubs/redact", "FuzzRedactTwice"),
	fuzzing("harness", "FuzzDecodeResults"),
	fuzzing("thresholds", "FuzzReadLimits"),
	fuzzing("reports", "FuzzVisible"),
	fuzzing("reports/ingest", readerTargets()...),
}

// readerTargets returns the fuzz targets of the readers of result files: that of format
// detection, and that of each format.
func readerTargets() []string {
	targets := []string{"FuzzRead"}
	for _, f := range ingest.Formats() {
		targets = append(targets, f.Fuzz)
	}
	return targets
}

// fuzzFlag is the flag for N of an experiment that fuzzes. N is in minutes of wall time; the
// processor time is less if other programs use the core.
const fuzzFlag = "-fuzztime=%dm"

// fuzzing returns the experiment that runs the fuzz targets of a package.
func fuzzing(pkg string, targets ...string) proof {
	return proof{name: "fuzz-" + path.Base(pkg), does: "generated input for " + strings.Join(targets, ", "), must: "0 panics, typed errors, what is accepted is consistent",
		in: []string{"./" + pkg}, run: strings.Join(targets, "|"), n: fuzzFlag, long: 10, unit: "minutes for each target, on one core"}
}

// lines returns the command lines of the experiment: one, or one for each fuzz target. If n is 0,
// they are those of the short form.
func (p *proof) lines(n int, seed uint64) (lines [][]string) {
	// By default Go minimizes each interesting input for up to a minute, and a single worker
	// fuzzes nothing else meanwhile. A second is enough.
	fuzz := []string{"-parallel=1", "-fuzzminimizetime=1s", "-timeout=0"}
	base := slices.Concat([]string{"go", "test"}, p.in)
	tail := []string{"-v", "-count=1", "-timeout=0"}
	if p.n == fuzzFlag && n > 0 {
		for target := range strings.SplitSeq(p.run, "|") {
			lines = append(lines, slices.Concat(base, []string{"-run=^$", "-fuzz=^" + target + "$", fmt.Sprintf(p.n, n)}, fuzz))
		}
		return lines
	}
	line := slices.Concat(base, []string{"-run=" + p.run}, tail, p.more)
	if n > 0 && p.n != "" {
		line = append(line, fmt.Sprintf(p.n, n))
	}
	if p.seed != "" {
		line = append(line, fmt.Sprintf(p.seed, seed))
	}
	return [][]string{line}
}

// durability holds the arguments of "selftest durability".
type durability struct {
	name string
	n    int
	long bool
	seed uint64
}

// durabilityCommand returns the command "selftest durability".
func durabilityCommand() *cobra.Command {
	var d durability
	cmd := &cobra.Command{
		Use: "durability [NAME]", Args: cobra.MaximumNArgs(1),
		Short: "Try to lose data: loss of power, kill -9, faults of the disk, hostile input",
		Long: `Runs the experiment NAME, or "all" of them, and reports whether it held. The experiments are tests
of flujo-harness itself and need a checkout of it. Each prints its figures, the number of trials,
the seed, and the command line that repeats it. Without a NAME the experiments are listed: what each
does, what its result and that of its control must be, and its command line.

Exit codes: 0 held; 1 an experiment failed; 2 usage error, or no checkout; 3 an experiment could not
be run; 130 interrupted.`,
		Example: `  flujo-harness selftest durability
  flujo-harness selftest durability power-loss --long`,
		ValidArgs: append(names(), "all"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				if d.n != 0 || d.long {
					return cli.Usage(errors.New("--n and --long need the NAME of an experiment: selftest durability lists them"))
				}
				return cli.Print(cmd.OutOrStdout(), listed())
			}
			d.name = args[0]
			return d.run(cmd)
		},
	}
	cmd.Flags().IntVar(&d.n, "n", 0, "number of trials, in the unit of the list; 0: the short form that CI runs")
	cmd.Flags().BoolVar(&d.long, "long", false, "run as many trials as the list says")
	cmd.Flags().Uint64Var(&d.seed, "seed", 1, "random seed")
	return cmd
}

// names returns the names of all experiments.
func names() (all []string) {
	for _, p := range proofs {
		all = append(all, p.name)
	}
	return all
}

// chosen returns the experiments to run.
func (d *durability) chosen() ([]proof, error) {
	var chosen []proof
	for _, p := range proofs {
		if d.name == "all" || d.name == p.name {
			chosen = append(chosen, p)
		}
	}
	switch {
	case chosen == nil:
		return nil, cli.Usage(fmt.Errorf("selftest durability %q: there is all, %s", d.name, strings.Join(names(), ", ")))
	case d.n < 0:
		return nil, cli.Usage(fmt.Errorf("--n %d: use 1 or more, or 0 for the short form", d.n))
	case d.n > 0 && d.long:
		return nil, cli.Usage(errors.New("--n and --long both set the number of tries: use one of the two"))
	case d.n > 0 && (d.name == "all" || chosen[0].n == ""):
		return nil, cli.Usage(fmt.Errorf("selftest durability %s has no --n: leave it out, or use --long", d.name))
	}
	return chosen, nil
}

// listed returns the list of experiments that is printed without a NAME.
func listed() string {
	var b strings.Builder
	for _, p := range proofs {
		fmt.Fprintf(&b, "%s\n  does    %s\n  must    %s\n", p.name, p.does, p.must)
		if p.n != "" {
			fmt.Fprintf(&b, "  --long  %d %s\n", p.long, p.unit)
		}
		for _, line := range p.lines(p.long, 1) {
			fmt.Fprintf(&b, "  runs    %s\n", child.ShellLine(line...))
		}
	}
	return b.String()
}

// run runs the chosen experiments in order. It continues after a failure.
func (d *durability) run(cmd *cobra.Command) error {
	out := cmd.OutOrStdout()
	chosen, err := d.chosen()
	if err != nil {
		return err
	}
	here, err := project.Find()
	if err != nil {
		return cli.Fault(err)
	}
	if !here.IsHarness() {
		return cli.Usage(fmt.Errorf("selftest durability %s: this is no checkout of %s, whose tests the experiments are: clone it, and call this there", d.name, project.HarnessModule))
	}
	ctx := cmd.Context()
	commit, dirty := here.Revision(ctx)
	if commit = cmp.Or(commit, "unknown"); dirty {
		commit += " with changes"
	}
	if err := cli.Print(out, fmt.Sprintf("%s, commit %s, %s on %s\n", time.Now().UTC().Format(time.DateOnly), commit, runtime.Version(), machine.Class())); err != nil {
		return err
	}
	seed := max(d.seed, 1)
	red := 0
	for _, p := range chosen {
		n := d.n
		if d.long {
			n = p.long
		}
		for _, line := range p.lines(n, seed) {
			how := "the short form"
			if n > 0 && p.n != "" {
				how = fmt.Sprintf("n %d (%s)", n, p.unit)
			}
			if p.seed != "" {
				how += fmt.Sprintf(", seed %d", seed)
			}
			if err := cli.Print(out, fmt.Sprintf("experiment %s, %s: %s\n%s\n", p.name, how, p.must, child.ShellLine(line...))); err != nil {
				return err
			}
			began := time.Now()
			problem, used, err := attempt(ctx, here.Root, line, out, cmd.ErrOrStderr())
			switch {
			case ctx.Err() != nil:
				return &cli.ExitError{Code: cli.ExitInterrupted, Err: nil}
			case err != nil:
				return cli.Fault(fmt.Errorf("experiment %s: %w: it needs the go command", p.name, err))
			case problem != "":
				red++
				problem = "FAILED: " + problem + ": run it again by\n" + child.ShellLine(line...)
			default:
				problem = "held"
			}
			if err := cli.Print(out, fmt.Sprintf("experiment %s, in %.0f s (%.0f s of processor): %s\n", p.name, time.Since(began).Seconds(), used.Seconds(), problem)); err != nil {
				return err
			}
		}
	}
	if red > 0 {
		return &cli.ExitError{Code: cli.ExitBroken}
	}
	return nil
}

// attempt runs a command line. It returns what went wrong and the processor time used by the
// command and by all processes that it started and waited for, compilers included. Child
// processes that it killed without waiting are not included.
func attempt(ctx context.Context, dir string, line []string, out, said io.Writer) (problem string, used time.Duration, err error) {
	var heard bytes.Buffer
	guard, err := cli.GuardLine()
	if err != nil {
		return "", 0, err
	}
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, io.MultiWriter(out, &heard), said
	failed, err := child.RunGroup(ctx, cmd, guard)
	if state := cmd.ProcessState; state != nil {
		used = state.UserTime() + state.SystemTime()
	}
	switch {
	case err != nil:
		return "", used, err
	case failed != nil:
		return failed.Error(), used, nil
	case strings.Contains(heard.String(), "no tests to run"):
		return "nothing was run: it needs Linux", used, nil
	}
	return "", used, nil
}
