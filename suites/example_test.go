package suites_test

import (
	"errors"

	. "github.com/onsi/gomega"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/stubs"
	"github.com/flujo/flujo-harness/suites"
)

// letter is the scope of a run. It is saved after every step.
type letter struct {
	Topic, Text string
	Approved    bool
}

// newLetter returns a pipeline in which an agent writes a letter and a person approves it.
func newLetter(writer core.Agent[string, string]) (*core.Pipeline[letter], error) {
	return core.New("letter",
		core.Step("write", writer, func(l letter) string { return l.Topic }, func(l *letter, text string) { l.Text = text }, core.Retries(1)),
		core.Human("approve", func(l letter) string { return "send " + l.Text + "?" }, func(l *letter, yes bool) { l.Approved = yes }))
}

type letterCase = suites.Case[letter, core.Agent[string, string]]

// Every case becomes specs: the run ends as the case requires, can be replayed, shares nothing with
// other runs, stops when its budget is exhausted, accepts one answer to each pause, and ends the
// same when its process is killed at any save.
var _ = suites.DescribePipeline("letter", newLetter, core.Agent[string, string](stubs.Always[string]("Dear Ada")),
	letterCase{
		Name:    "is sent after a person has approved it",
		Input:   letter{Topic: "thanks"},
		Answers: []suites.Answer{{Path: "approve", With: true}},
		Outcome: And(suites.HaveCompleted(), suites.HaveSaved(6)), // the start, 2 steps, 2 for the pause, and the end
		Scope:   HaveField("Approved", BeTrue()),
	},
	letterCase{
		Name:  "waits for a person, though the model was down and the disk full for a moment",
		Input: letter{Topic: "thanks"},
		Change: func(writer *core.Agent[string, string]) {
			*writer = stubs.Script[string](stubs.Fail[string](errors.New("model overloaded")), stubs.Say("Dear Ada"))
		},
		Faults:  []stubs.Fault{{At: 2, Err: errors.New("disk is full")}},
		Outcome: suites.HavePausedAt("approve"),
	},
)

// The description registers itself. RunSpecs of its package runs it.
func ExampleDescribePipeline() {}
