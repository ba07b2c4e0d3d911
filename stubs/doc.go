// Package stubs makes scripted agents that never run dry by accident.
//
// A script is sized, not written: [Size] multiplies the load of a test or a
// measurement (warm-ups, rounds, batches of each arm) by the worst-case calls of
// every step, loops, maps and retries included, which the pipeline knows before its
// first run. The result is a [Book]; printing it shows the formula with its numbers.
//
// What an agent answers is a [Reply] for each call: [Always] the same, one made of
// the request ([From]), or a list in order ([Script], [Outputs]). Replies say, fail,
// refuse, panic, hang, break off and draw; they take time, call tools and use
// tokens. [Choose] looks at the input; [FromTable] reads all this from YAML.
//
// A list is read from its beginning by every run and, within it, by every item of a
// map and every branch: neither order nor parallelism changes what a run sees. A
// resumed run goes on where it was, in the same process. Random numbers follow from
// the seed of the book, the arm, the run and the step alone.
//
// A call beyond the script is an [*ExhaustedError]. It wraps core.ErrHarness: the
// engine neither retries nor records it, and a measurement that meets one is
// invalid, not slow and not failed. The book remembers it too, so that nothing in
// between can swallow it: [Book.Verify] reports it at the end, with calls out of
// scope, inputs other than expected, and what was left unread.
//
// Without a pipeline, [ForTest] gives a function under test the context of a book without
// a plan and verifies it at the end of the test; [Always] and [From] answer in any context.
// [InOrder] states the order in which several agents are called.
//
// [Faulty] and [FaultyBackend] make calls of any agent and any backend fail. Package
// cassette records a real agent, or the HTTP calls of one, and replays them; package
// provider puts a script behind the SDKs of OpenAI, Anthropic and Google; package redact
// removes secrets from texts.
//
// Life cycle: make agents, a pipeline of them, a book from the pipeline; run under
// the context of [Book.In]; verify. Agents and books keep nothing open.
//
// The package does not imitate a model: it knows no prompts and counts no tokens
// that the script does not state.
package stubs
