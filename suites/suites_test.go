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

// Reports group specs by category. They do not find a spec without one, or with an unknown one.
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

// key is the key of the only run of most specs.
var key = core.RunKey{Tenant: "acme", Run: "r"}

// saved runs a pipeline of the nodes on a new database.
func saved(ctx context.Context, nodes ...*core.Node[note]) *suites.Ran[note] {
	GinkgoHelper()
	return suites.Run(ctx, database(sqlite.Process), pipeline(nodes...), key, note{})
}

// ask returns a pause for a person who sees the text and replaces it.
func ask(name string, opts ...core.HumanOption[string]) *core.Node[note] {
	return core.Human(name, text, setText, opts...)
}

// add returns a step that appends the answer of the agent to what was seen.
func add(name string, agent core.Agent[string, string], opts ...core.StepOption) *core.Node[note] {
	return core.Step(name, agent, text, func(n *note, answer string) { n.Seen = append(n.Seen, answer) }, opts...)
}

// step returns a step that passes its text to the agent and stores the answer as the text.
func step(name string, agent core.Agent[string, string], opts ...core.StepOption) *core.Node[note] {
	return core.Step(name, agent, text, setText, opts...)
}

// pipeline returns a pipeline of the nodes, which must be valid.
func pipeline(nodes ...*core.Node[note]) *core.Pipeline[note] {
	GinkgoHelper()
	p, err := core.New("suite", nodes...)
	Expect(err).NotTo(HaveOccurred())
	return p
}

// database returns a new backend that is closed at the end of the spec.
func database(durability sqlite.Durability) *sqlite.Backend {
	GinkgoHelper()
	return opened(filepath.Join(GinkgoT().TempDir(), "runs.db"), durability)
}

// opened opens the file as another process would. The backend is closed at the end of the spec.
func opened(path string, durability sqlite.Durability) *sqlite.Backend {
	GinkgoHelper()
	b, err := sqlite.Open(context.Background(), path, durability)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(b.Close)
	return b
}
