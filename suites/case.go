package suites

import (
	"fmt"

	ginkgo "github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega/types"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
)

// Case is one row of [DescribePipeline]: what a run is given, and what must come of it.
// S is the scope of the pipeline, A the agents that it is built of.
type Case[S, A any] struct {
	Name    string
	Input   S
	Change  func(*A)            // scripts of this case, in place of those that are given for all; nil: none
	Answers []Answer            // to pauses; one without an answer is where the run ends
	Faults  []stubs.Fault       // of the backend: the run must end the same in spite of them
	Outcome types.GomegaMatcher // of the *Ran[S]: HaveCompleted() …
	Scope   types.GomegaMatcher // of the scope at the end, an S; nil: any
}

// Answer is what a person says at a pause.
type Answer struct {
	Path string // of the pause in the run: "approve", "refine#2/approve"
	With any    // as for core.Signal
}

// subject is a case with the pipeline that it is about.
type subject[S, A any] struct {
	Case[S, A]
	build  func(A) (*core.Pipeline[S], error)
	agents A
	at     ginkgo.CodeLocation // of the call that describes it
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

// pause finds a pause of a run that waits, one that the case has an answer to before
// others.
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

// unasked lists the answers that nobody asked for.
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
