package suites

import (
	"fmt"

	ginkgo "github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega/types"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// Case is one case of [DescribePipeline]: the input of a run and the expected result. S is the scope
// of the pipeline, A the agents that it is built from.
type Case[S, A any] struct {
	Name    string
	Input   S
	Change  func(*A)            // replaces agents for this case; may be nil
	Answers []Answer            // answers to pauses; the run ends at a pause without an answer
	Faults  []stubs.Fault       // faults of the backend, in spite of which the result must be the same
	Outcome types.GomegaMatcher // matches the *Ran[S], for example HaveCompleted()
	Scope   types.GomegaMatcher // matches the final scope, an S; nil matches any
}

// Answer is a person's answer to a pause.
type Answer struct {
	Path string // path of the pause in the run, such as "refine#2/approve"
	With any    // answer, as for core.Signal
}

// subject is a case together with its pipeline.
type subject[S, A any] struct {
	Case[S, A]
	build  func(A) (*core.Pipeline[S], error)
	agents A
	at     ginkgo.CodeLocation // location of the call that describes the case
}

// pipeline builds the pipeline of the case.
func (c *subject[S, A]) pipeline() (*core.Pipeline[S], error) {
	agents := c.agents
	if c.Change != nil {
		c.Change(&agents)
	}
	p, err := c.build(agents)
	if err != nil {
		return nil, fmt.Errorf("build the pipeline of case %q: %w", c.Name, err)
	}
	return p, nil
}

// pause returns an open pause of a run, preferably one that the case has an answer to.
func (c *subject[S, A]) pause(s core.Snapshot) (pause core.StepRecord, with *Answer, found bool) {
	for _, rec := range s.Steps {
		if rec.Status != core.Paused || answered(s, rec.Token) {
			continue
		}
		pause, found = rec, true
		for i := range c.Answers {
			if c.Answers[i].Path == rec.Path {
				return rec, &c.Answers[i], true
			}
		}
	}
	return pause, nil, found
}

// unasked returns the paths of answers that no pause asked for.
func (c *subject[S, A]) unasked(s core.Snapshot) (paths []string) {
	asked := map[string]int{}
	for _, rec := range s.Steps {
		if rec.Status == core.Paused && answered(s, rec.Token) {
			asked[rec.Path]++
		}
	}
	for _, a := range c.Answers {
		if asked[a.Path]--; asked[a.Path] < 0 {
			paths = append(paths, a.Path)
		}
	}
	return paths
}
