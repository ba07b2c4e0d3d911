package suites_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/suites"
	"github.com/flujo/flujo-harness/thresholds"
)

// The files in testdata were written by the versions that their names tell, and are
// never written again: v1 by the first commit of this repository, v2 by -update.
var update = flag.Bool("update", false, "write the database and the cassette of this version to testdata")

// released is a pipeline that runs of a released version are saved for. It must not
// change, and what its fingerprint is made of must not either.
func released() *core.Pipeline[note] {
	GinkgoHelper()
	p, err := core.New("released",
		step("a", sign, core.Retries(1)),
		core.Loop("refine", 3, upTo(2), add("draft", sign)),
		ask("boss"),
		core.Parallel("both", core.Disjoint[note], core.Branches(step("b", sign), add("c", sign))))
	Expect(err).NotTo(HaveOccurred())
	return p
}

// unpacked is a copy of a file in testdata.
func unpacked(name string) string {
	GinkgoHelper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	Expect(err).NotTo(HaveOccurred())
	if plain, ok := strings.CutSuffix(name, ".gz"); ok {
		name = plain
		z, err := gzip.NewReader(bytes.NewReader(data))
		Expect(err).NotTo(HaveOccurred())
		data, err = io.ReadAll(z)
		Expect(err).NotTo(HaveOccurred())
	}
	path := filepath.Join(GinkgoT().TempDir(), name)
	Expect(os.WriteFile(path, data, 0o600)).To(Succeed())
	return path
}

var _ = Describe("A database of version 1", Label("category:compatibility"), func() {
	It("is brought up to date when it is opened, and tells what it told", func(ctx SpecContext) {
		b := opened(unpacked("runs-v1.db.gz"), sqlite.Process)
		snap, err := b.Load(ctx, core.RunKey{Tenant: "old", Run: "completed"})
		Expect(snap, err).To(suites.HaveCompleted())
		Expect(snap.State).To(MatchJSON(`{"Text":"<abc","Seen":["<a","<ab","<abc"]}`))
		Expect(snap.Steps).To(HaveLen(3))
		Expect(snap.Steps[1]).To(And(HaveField("Attempts", 2), HaveField("Feedback", "too short"), HaveField("Usage", core.Usage{})))
		Expect(snap.Start.Time).To(BeTemporally("==", time.Date(2026, 3, 1, 12, 0, 1, 0, time.UTC)))
		snap, err = b.Load(ctx, core.RunKey{Tenant: "old", Run: "failed"})
		Expect(err).NotTo(HaveOccurred())
		Expect(snap).NotTo(suites.HaveCompleted())
		Expect(snap.Error).To(Equal(`step "b" failed after 3 attempt(s): model unavailable`))
	})

	It("keeps a run that was cut off, though this version's plan is another, and says so", func(ctx SpecContext) {
		b := opened(unpacked("runs-v1.db.gz"), sqlite.Process)
		old := core.RunKey{Tenant: "old", Run: "cut off"}
		before, err := b.Load(ctx, old)
		Expect(err).NotTo(HaveOccurred())
		p := pipeline(step("a", sign), step("b", sign, core.Retries(2)), step("c", sign))
		_, err = core.Resume(ctx, core.NewEngine(core.WithBackend(b)), p, old)
		Expect(err).To(And(MatchError(core.ErrPlanChanged), MatchError(ContainSubstring("resume with the pipeline of the start, or start a new run"))))
		Expect(b.Load(ctx, old)).To(Equal(before))
		Expect(before.Steps).To(HaveLen(2))
	})

	It("takes new runs beside the old ones", func(ctx SpecContext) {
		path := unpacked("runs-v1.db.gz")
		Expect(suites.Run(ctx, opened(path, sqlite.Process), pipeline(step("a", sign)), core.RunKey{Tenant: "old", Run: "new"}, note{})).To(And(suites.HaveCompleted(), suites.HaveSaved(3)))
		r, err := sqlite.OpenReader(ctx, path)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(r.Close)
		Expect(r.List(ctx, sqlite.Filter{})).To(HaveLen(4))
	})

	It("is not touched by what only looks", func(ctx SpecContext) {
		path := unpacked("runs-v1.db.gz")
		before, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		_, err = sqlite.OpenReader(ctx, path)
		Expect(err).To(MatchError(ContainSubstring("version")))
		Expect(os.ReadFile(path)).To(Equal(before))
	})
})

var _ = Describe("A database of version 2", Label("category:compatibility"), func() {
	const file = "runs-v2.db.gz"

	BeforeEach(func(ctx SpecContext) {
		if *update {
			write(ctx, file)
		}
	})

	It("tells what it told, and replays", func(ctx SpecContext) {
		b := opened(unpacked(file), sqlite.Process)
		snap, err := b.Load(ctx, core.RunKey{Run: "completed"})
		Expect(snap, err).To(And(suites.HaveCompleted(), suites.HaveExitReason(core.ExitCondition), suites.ReplayIdentically(released())))
		Expect(snap.State).To(MatchJSON(`{"Text":"yesb","Seen":["adraft","adraft","yesc"]}`))
		snap, err = b.Load(ctx, core.RunKey{Run: "failed"})
		Expect(err).NotTo(HaveOccurred())
		Expect(snap.Error).To(Equal(`step "a" failed after 2 attempt(s): model unavailable`))
	})

	It("lets runs go on that wait, have stopped, or were cut off", func(ctx SpecContext) {
		b := opened(unpacked(file), sqlite.Process)
		e, p := core.NewEngine(core.WithBackend(b)), released()
		snap, err := b.Load(ctx, core.RunKey{Run: "paused"})
		Expect(snap, err).To(suites.HavePausedAt("boss"))
		Expect(core.Signal(ctx, e, p, core.RunKey{Run: "paused"}, snap.Steps[len(snap.Steps)-1].Token, "yes")).To(suites.HaveCompleted())
		for run, steps := range map[string]int{"stopped": 1, "cut off": 2} {
			res, err := core.Resume(ctx, e, p, core.RunKey{Run: run})
			Expect(res, err).To(suites.HavePausedAt("boss"))
			snap, err := b.Load(ctx, core.RunKey{Run: run})
			Expect(err).NotTo(HaveOccurred())
			Expect(len(snap.Steps)-res.Steps).To(Equal(steps), "steps that the old version had saved for %q", run)
		}
	})

	It("that a newer one has taken over is refused with both numbers, and not touched", func(ctx SpecContext) {
		path := unpacked(file)
		db, err := sqlite.OpenDB(path, sqlite.Process)
		Expect(err).NotTo(HaveOccurred())
		_, err = db.ExecContext(ctx, "PRAGMA user_version=99")
		Expect(err).NotTo(HaveOccurred())
		Expect(db.Close()).To(Succeed())
		before, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		for _, open := range []func() error{
			func() error { _, err := sqlite.Open(ctx, path, sqlite.Process); return err },
			func() error { _, err := sqlite.OpenReader(ctx, path); return err },
		} {
			err := open()
			var newer *sqlite.ErrNewer
			Expect(errors.As(err, &newer)).To(BeTrue(), "%v", err)
			Expect(err).To(MatchError(fmt.Sprintf("database %s has schema version 99, this program knows up to %d: use a newer program; nothing was changed", path, newer.Know)))
		}
		Expect(os.ReadFile(path)).To(Equal(before))
	})
})

// write makes the database that this version is remembered by.
func write(ctx context.Context, name string) {
	GinkgoHelper()
	path := filepath.Join(GinkgoT().TempDir(), "runs.db")
	b, err := sqlite.Open(ctx, path, sqlite.Process)
	Expect(err).NotTo(HaveOccurred())
	p := released()
	run := func(b core.Backend, p *core.Pipeline[note], name string) *suites.Ran[note] {
		return suites.Run(ctx, b, p, core.RunKey{Run: name}, note{})
	}
	Expect(run(b, p, "completed").Answer(ctx, "boss", "yes")).To(suites.HaveCompleted())
	Expect(run(b, p, "paused")).To(suites.HavePausedAt("boss"))
	Expect(run(b, p.Within(core.Budget{Calls: 1}), "stopped")).To(suites.HaveStoppedFor("calls"))
	cut := stubs.FaultyBackend(b, stubs.Fault{When: func(at stubs.Point) bool { return at.Path == "refine#2/draft" }, Err: fmt.Errorf("cut off")})
	Expect(run(cut, p, "cut off").Err).To(MatchError(ContainSubstring("cut off")))
	failing, err := core.New("released", step("a", broken, core.Retries(1)))
	Expect(err).NotTo(HaveOccurred())
	Expect(run(b, failing, "failed")).To(suites.HaveFailedAt("a"))
	Expect(b.Close()).To(Succeed())
	db, err := sqlite.OpenDB(path, sqlite.Process)
	Expect(err).NotTo(HaveOccurred())
	var version int
	Expect(db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)).To(Succeed())
	Expect(db.Close()).To(Succeed())
	Expect(version).To(Equal(2), "this version writes another: keep the file, and describe a new one beside it")
	data, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	Expect(err).NotTo(HaveOccurred())
	_, err = z.Write(data)
	Expect(err).NotTo(HaveOccurred())
	Expect(z.Close()).To(Succeed())
	Expect(os.WriteFile(filepath.Join("testdata", name), packed.Bytes(), 0o644)).To(Succeed())
}

var _ = Describe("Recordings and results", Label("category:compatibility"), func() {
	writer := func(tape *stubs.Cassette, calls *int) core.Agent[string, string] {
		return stubs.Recorded(tape, "writer", core.Agent[string, string](core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
			*calls++
			return "about " + req.Input, nil
		})))
	}

	It("of format 1 are replayed", func(ctx SpecContext) {
		const file = "writer-v1.jsonl"
		calls := 0
		run := func(path string, mode stubs.Mode) {
			GinkgoHelper()
			tape, err := stubs.OpenCassette(path, mode)
			Expect(err).NotTo(HaveOccurred())
			p := pipeline(step("a", writer(tape, &calls)), core.Loop("l", 2, nil, step("b", writer(tape, &calls)), core.MaxIsSuccess()))
			ran := suites.Run(ctx, nil, p, key, note{Text: "saves"})
			Expect(ran).To(suites.HaveCompleted())
			Expect(ran.Result.Scope.Text).To(Equal("about about about saves"))
			Expect(tape.Verify()).To(Succeed())
			Expect(tape.Close()).To(Succeed())
		}
		if *update {
			run(filepath.Join("testdata", file), stubs.Record)
			calls = 0
		}
		run(unpacked(file), stubs.Replay)
		Expect(calls).To(BeZero(), "the real agent was called")
	})

	It("of a newer format are refused with both numbers", func() {
		path := filepath.Join(GinkgoT().TempDir(), "new.jsonl")
		Expect(os.WriteFile(path, []byte("{\"flujo_cassette\":9}\n"), 0o600)).To(Succeed())
		_, err := stubs.OpenCassette(path, stubs.Replay)
		Expect(err).To(MatchError(ContainSubstring("written by a newer version: its format is 9, this version reads 1: update flujo-harness")))
	})

	It("of a newer schema are refused, limits and measurements alike", func() {
		path := filepath.Join(GinkgoT().TempDir(), "here.toml")
		Expect(os.WriteFile(path, []byte("schema = 9\nclass = \"here\"\n"), 0o600)).To(Succeed())
		_, err := thresholds.Read(path)
		Expect(err).To(MatchError(ContainSubstring("schema 9: this program reads 1")))
		_, err = harness.DecodeResults(strings.NewReader(`{"schema":9,"comparisons":[]}`))
		Expect(err).To(MatchError(ContainSubstring("schema 9: this program reads 1: use the version of the program that wrote it")))
	})
})
