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

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/core/sqlite/sqlitedb"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/stubs/cassette"
	"github.com/flujo/flujo-harness/suites"
	"github.com/flujo/flujo-harness/thresholds"
)

// The files in testdata were written by the versions in their names. They are never rewritten.
var update = flag.Bool("update", false, "write the cassette of this version to testdata")

// unpacked returns a copy of a file in testdata.
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

var _ = Describe("A database in an older format", Label("category:compatibility"), func() {
	for _, file := range []string{"runs-v1.db.gz", "runs-v2.db.gz"} {
		It("is refused with the remedy, and not touched: "+file, func(ctx SpecContext) {
			path := unpacked(file)
			before, err := os.ReadFile(path)
			Expect(err).NotTo(HaveOccurred())
			for _, open := range []func() error{
				func() error { _, err := sqlite.Open(ctx, path, sqlite.Process); return err },
				func() error { _, err := sqlite.Open(ctx, path, sqlite.Power); return err },
				func() error { _, err := sqlite.OpenReader(ctx, path); return err },
			} {
				Expect(open()).To(MatchError(And(ContainSubstring("older format"), ContainSubstring("move the file away"), ContainSubstring("nothing was changed"))))
			}
			Expect(os.ReadFile(path)).To(Equal(before))
		})
	}
})

var _ = Describe("A database that a newer version has migrated", Label("category:compatibility"), func() {
	It("is refused with both numbers, and not touched", func(ctx SpecContext) {
		path := filepath.Join(GinkgoT().TempDir(), "runs.db")
		Expect(opened(path, sqlite.Process).Close()).To(Succeed())
		db, err := sqlitedb.Open(path, sqlite.Process)
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
			Expect(err).To(MatchError(fmt.Sprintf("database %s has schema version 99, but this program supports versions up to %d: use a newer program; nothing was changed", path, newer.Know)))
		}
		Expect(os.ReadFile(path)).To(Equal(before))
	})
})

var _ = Describe("Recordings and results", Label("category:compatibility"), func() {
	writer := func(tape *cassette.Cassette, calls *int) core.Agent[string, string] {
		return cassette.Recorded(tape, "writer", core.Agent[string, string](core.Func[string, string](func(_ context.Context, req core.Request[string]) (string, error) {
			*calls++
			return "about " + req.Input, nil
		})))
	}

	It("of format 1 are replayed", func(ctx SpecContext) {
		const file = "writer-v1.jsonl"
		calls := 0
		run := func(path string, mode cassette.Mode) {
			GinkgoHelper()
			tape, err := cassette.Open(path, mode)
			Expect(err).NotTo(HaveOccurred())
			p := pipeline(step("a", writer(tape, &calls)), core.Loop("l", 2, nil, step("b", writer(tape, &calls)), core.MaxIsSuccess()))
			ran := suites.Run(ctx, nil, p, key, note{Text: "saves"})
			Expect(ran).To(suites.HaveCompleted())
			Expect(ran.Result.Scope.Text).To(Equal("about about about saves"))
			Expect(tape.Verify()).To(Succeed())
			Expect(tape.Close()).To(Succeed())
		}
		if *update {
			run(filepath.Join("testdata", file), cassette.Record)
			calls = 0
		}
		run(unpacked(file), cassette.Replay)
		Expect(calls).To(BeZero(), "the real agent was called")
	})

	It("of a newer format are refused with both numbers", func() {
		path := filepath.Join(GinkgoT().TempDir(), "new.jsonl")
		Expect(os.WriteFile(path, []byte("{\"flujo_cassette\":9}\n"), 0o600)).To(Succeed())
		_, err := cassette.Open(path, cassette.Replay)
		Expect(err).To(MatchError(ContainSubstring("written by a newer version: its format is 9, and this version reads up to 1: update flujo-harness")))
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
