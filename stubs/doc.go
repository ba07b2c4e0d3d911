// Package stubs provides scripted agents that do not run out of replies by accident.
//
// Scripts are sized from the pipeline: [Size] multiplies the load of a test or a measurement
// (warm-ups, rounds and batches of each arm) by the maximum number of calls of every step,
// including loops, maps and retries, which the plan of the pipeline determines before its first
// run. The result is a [Book]; printing it shows the formula with its numbers.
//
// An agent answers each call with a [Reply]: always the same ([Always]), one computed from the
// request ([From]), or the next one of a list ([Script], [Outputs]). A reply returns an output, an
// error, a rate limit or a broken stream, panics, hangs, or draws an output at random; it can take
// time, call tools and use tokens. [Choose] selects an agent by the input; [FromTable] reads
// scripts from YAML.
//
// Every run, and within it every item of a map and every branch, reads a list from its beginning,
// so that neither order nor concurrency changes what a run receives. A run that is resumed in the
// same process continues its lists. Random numbers depend only on the random seed of the book, the
// arm, the run and the step.
//
// A call after the end of a script is an [*ExhaustedError], which wraps core.ErrHarness: the engine
// neither retries nor records it, and a measurement with one is invalid rather than slow or failed.
// The book also records it, so that it cannot be swallowed: [Book.Verify] reports it at the end,
// together with calls without a script, unexpected inputs, and unread replies.
//
// For functions that call agents without a pipeline, [ForTest] returns the context of a book
// without a plan and verifies it at the end of the test. [InOrder] states the order in which
// several agents must be called.
//
// [Faulty] and [FaultyBackend] inject faults into any agent and any backend. Package cassette
// records and replays a real agent or its HTTP calls. Package provider serves scripts to the SDKs
// of OpenAI, Anthropic and Google. Package redact removes secrets from texts.
//
// Life cycle: create agents, a pipeline of them, and a book from the pipeline; run in the context
// of [Book.In]; call [Book.Verify]. Agents and books hold no resources that must be closed.
//
// The package does not imitate a model: it does not interpret prompts and counts only tokens that
// a script states.
package stubs
