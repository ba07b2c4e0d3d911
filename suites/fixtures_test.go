package suites_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/coretest"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/suites"
)

// Pipelines and a backend with one defect each. They are only described in a process that is
// started for this purpose, and the suites must detect every defect.

const defective = "FLUJO_SUITES_DEFECTIVE"

// aliased has a Clone method that makes only the first Deep copies deep.
type aliased struct {
	Words []string
	Deep  int
}

func (a aliased) Clone() aliased {
	if a.Deep > 0 {
		a.Words = slices.Clone(a.Words)
	}
	a.Deep--
	return a
}

// counted is global state, on which an agent and a step must not depend.
var counted atomic.Int64

func describeDefects() bool {
	type row = suites.Case[note, core.Agent[string, string]]
	one := func(a core.Agent[string, string]) (*core.Pipeline[note], error) {
		return core.New("p", step("a", a), step("b", sign))
	}
	good := stubs.Always[string]("good")
	as := func(a core.Agent[string, string]) func(*core.Agent[string, string]) {
		return func(to *core.Agent[string, string]) { *to = a }
	}
	suites.DescribePipeline("defective", one, core.Agent[string, string](good),
		row{Name: "other outcome", Outcome: suites.HaveFailedAt("a")},
		row{Name: "other scope", Outcome: suites.HaveCompleted(), Scope: HaveField("Text", "bad")},
		row{Name: "no outcome"},
		row{Name: "replies left", Change: as(stubs.Outputs[string]("1", "2")), Outcome: suites.HaveCompleted()},
		row{Name: "ran dry", Change: as(stubs.Outputs[string, string]()), Outcome: Not(suites.HaveCompleted())},
		row{Name: "unasked", Answers: []suites.Answer{{Path: "boss", With: true}}, Outcome: suites.HaveCompleted()},
		row{Name: "disk is gone", Faults: []stubs.Fault{{At: 2, Sticky: true, Err: errors.New("disk is gone")}}, Outcome: suites.HaveCompleted()},
		row{Name: "who am I", Outcome: suites.HaveCompleted(), Change: as(stubs.From(func(core.Request[string]) stubs.Reply[string] {
			return stubs.Say(fmt.Sprint(os.Getpid()))
		}))},
		row{Name: "counts calls", Outcome: suites.HaveCompleted(), Change: as(core.Func[string, string](func(context.Context, core.Request[string]) (string, error) {
			return fmt.Sprint(counted.Add(1)), nil
		}))},
		row{Name: "twice", Outcome: suites.HaveCompleted()}, row{Name: "twice", Outcome: suites.HaveCompleted()},
	)
	suites.DescribePipeline("defective", one, core.Agent[string, string](good), row{Name: "same name", Outcome: suites.HaveCompleted()})
	suites.DescribePipeline("counting", func(a core.Agent[string, string]) (*core.Pipeline[note], error) {
		return core.New("p", core.Step("a", a, text, func(n *note, _ string) { n.Text = fmt.Sprint(counted.Add(1)) }))
	}, core.Agent[string, string](good), row{Name: "writes", Outcome: suites.HaveCompleted()})
	suites.DescribePipeline("aliasing", func(a core.Agent[string, string]) (*core.Pipeline[aliased], error) {
		return core.New("p", core.Step("a", a, func(aliased) string { return "" }, func(a *aliased, out string) { a.Words[0] = out }))
	}, core.Agent[string, string](good),
		suites.Case[aliased, core.Agent[string, string]]{Name: "input", Input: aliased{[]string{"word"}, 0}, Outcome: suites.HaveCompleted()},
		suites.Case[aliased, core.Agent[string, string]]{Name: "step", Input: aliased{[]string{"word"}, 1}, Outcome: suites.HaveCompleted()})
	workload, err := one(good)
	if err != nil {
		panic(err)
	}
	for range 2 {
		suites.DescribeOverhead(harness.NewWorkload("defective", "", workload, func(int) note { return note{} }), "nowhere")
	}
	suites.DescribeBackend("forgetful", func(context.Context, string) (core.Backend, error) { return core.NewMemory(), nil }, coretest.Durable)
	return true
}

var _ = os.Getenv(defective) != "" && describeDefects()

var _ = Describe("The importable suites find", Label("category:self-check"), Ordered, ContinueOnFailure, func() {
	found := map[string]types.SpecReport{}

	BeforeAll(func(ctx SpecContext) {
		exe, err := os.Executable()
		Expect(err).NotTo(HaveOccurred())
		report := filepath.Join(GinkgoT().TempDir(), "report.json")
		cmd := exec.CommandContext(ctx, exe, "-test.run=^TestSuites$", "-ginkgo.json-report="+report, "-ginkgo.no-color",
			"-ginkgo.focus=(defective|aliasing).*(ends as it should|in spite|a unique name)|who am I.*killed|counts calls.*(budget|shares)|counting.*replayed|aliasing.*shares|forgetful.*woken after the claim")
		cmd.Env = append(os.Environ(), defective+"=1")
		out, err := cmd.CombinedOutput()
		Expect(err).To(MatchError("exit status 1"), "%s", out)
		data, err := os.ReadFile(report)
		Expect(err).NotTo(HaveOccurred(), "%s", out)
		var reports []types.Report
		Expect(json.Unmarshal(data, &reports)).To(Succeed())
		for _, r := range reports {
			for _, s := range r.SpecReports {
				if s.State != types.SpecStateSkipped {
					found[s.FullText()] = s
				}
			}
		}
	})

	DescribeTable("a case with", func(spec, text string) {
		s := found[spec]
		Expect(s.State).To(Equal(types.SpecStateFailed), "%s: %v", spec, s.State)
		Expect(s.Failure.Message).To(ContainSubstring(text))
		Expect(s.LeafNodeLocation.FileName).To(HaveSuffix("fixtures_test.go"), "where the user has described it")
		delete(found, spec)
	},
		Entry("another outcome", "The pipeline defective other outcome: ends as it should", `to have failed at "a", but it has completed`),
		Entry("another scope", "The pipeline defective other scope: ends as it should", "to equal\n    <string>: bad"),
		Entry("no outcome", "The pipeline defective no outcome: ends as it should", "set the expected one"),
		Entry("replies that are left", "The pipeline defective replies left: ends as it should", "The run left the others unread"),
		Entry("a script that runs dry, also with NotTo", "The pipeline defective ran dry: ends as it should", "ran dry"),
		Entry("an answer that no pause asked for", "The pipeline defective unasked: ends as it should", "answers that no pause asked for"),
		Entry("a permanent fault", "The pipeline defective disk is gone: ends the same in spite of its faults", "was resumed 200 times and has not ended: resume run suite/case: disk is gone"),
		Entry("an agent that depends on its process", "The pipeline defective who am I: ends the same when its process is killed at any save", "killed after commit 2 of 4 the run differs"),
		Entry("an agent that depends on what ran before, when budgets are exhausted", "The pipeline defective counts calls: stops when its budget is exhausted, and continues with a larger one", "stopped out of calls and resumed the run differs"),
		Entry("an agent that depends on what ran before, concurrently", "The pipeline defective counts calls: shares nothing between steps, branches and concurrent runs", "with isolation checks the run differs"),
		Entry("a step that does not write what the agent said", "The pipeline counting writes: can be replayed from its records", "the difference: replay: step \"a\" makes another scope"),
		Entry("a name that is taken", "The pipeline defective twice: has a unique name", "two cases of a pipeline are described as twice"),
		Entry("a pipeline whose name is taken", "The pipeline defective has a unique name", "two pipelines are described as defective"),
		Entry("a workload whose name is taken", "What durability costs defective has a unique name", "two workloads are described as defective"),
		Entry("an alias of its input", "The pipeline aliasing input: ends as it should", "has changed its Input"),
		Entry("an alias of the scope", "The pipeline aliasing step: shares nothing between steps, branches and concurrent runs", "which it must not reach"),
		Entry("a backend that forgets", "The backend forgetful with a process that wakes up late: a process that is woken after the claim is refused", "run not found"),
	)

	It("nothing else in them", func() {
		for name, s := range found {
			// Wrong scripts and the alias of the input fail every spec of the case.
			if strings.Contains(name, "replies left") || strings.Contains(name, "ran dry") || strings.Contains(name, "aliasing input") {
				continue
			}
			Expect(s.State).NotTo(Equal(types.SpecStateFailed), "%s: %s", name, s.Failure.Message)
		}
	})
})
