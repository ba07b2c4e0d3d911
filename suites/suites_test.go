package suites_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/sqlite"
	"github.com/flujo/flujo-harness/suites"
)

func TestSuites(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Durable pipelines")
}

// Reports group by category: a spec without one, or of one that nobody knows, is not
// found in them.
var _ = ReportAfterSuite("every spec has one category, which the documentation names", func(r Report) {
	doc, err := os.ReadFile("doc.go")
	Expect(err).NotTo(HaveOccurred())
	_, scheme, _ := strings.Cut(string(doc), "// # Labels\n")
	for _, spec := range r.SpecReports {
		if spec.LeafNodeType != types.NodeTypeIt {
			continue
		}
		var categories []string
		for _, l := range spec.Labels() {
			if name, ok := strings.CutPrefix(l, "category:"); ok {
				categories = append(categories, name)
			}
		}
		Expect(categories).To(HaveLen(1), spec.FullText())
		Expect(scheme).To(MatchRegexp(`\b%s[,;.]`, categories[0]), spec.FullText())
	}
})

// note is the scope of the pipelines in these suites.
type note struct {
	Text string
	Seen []string
}

func text(n note) string             { return n.Text }
func setText(n *note, answer string) { n.Text = answer }

// key of the one run of most specs.
var key = core.RunKey{Tenant: "acme", Run: "r"}

// saved runs a pipeline of the nodes over a database of its own.
func saved(ctx context.Context, nodes ...*core.Node[note]) *suites.Ran[note] {
	GinkgoHelper()
	return suites.Run(ctx, database(sqlite.Process), pipeline(nodes...), key, note{})
}

// ask is a person that is shown the text, and replaces it.
func ask(name string, opts ...core.HumanOption[string]) *core.Node[note] {
	return core.Human(name, text, setText, opts...)
}

// add appends the answer of the agent to what was seen.
func add(name string, agent core.Agent[string, string], opts ...core.StepOption) *core.Node[note] {
	return core.Step(name, agent, text, func(n *note, answer string) { n.Seen = append(n.Seen, answer) }, opts...)
}

// step is a node that hands its text to the agent and keeps the answer.
func step(name string, agent core.Agent[string, string], opts ...core.StepOption) *core.Node[note] {
	return core.Step(name, agent, text, setText, opts...)
}

// pipeline must be a good one.
func pipeline(nodes ...*core.Node[note]) *core.Pipeline[note] {
	GinkgoHelper()
	p, err := core.New("suite", nodes...)
	Expect(err).NotTo(HaveOccurred())
	return p
}

// database is a fresh backend, closed at the end of the spec.
func database(durability sqlite.Durability) *sqlite.Backend {
	GinkgoHelper()
	return opened(filepath.Join(GinkgoT().TempDir(), "runs.db"), durability)
}

// opened is a backend over the file, as another process would open it; closed at the end
// of the spec.
func opened(path string, durability sqlite.Durability) *sqlite.Backend {
	GinkgoHelper()
	b, err := sqlite.Open(context.Background(), path, durability)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(b.Close)
	return b
}
