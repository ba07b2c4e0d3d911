// Package core runs pipelines of agents so that they survive crashes.
//
// A [Pipeline] is a tree of nodes, which [New] checks before the first run. [Step]
// calls an agent; [Then], [Loop], [Branch], [Parallel], [Map], [Fallback],
// [Validate], [Redirect] and [Sub] hold other nodes; [Human] waits for a person and
// [Wait] for a time; [Pass] does nothing.
//
// [Run] executes a pipeline over a typed scope. If the [Engine] has a [Backend], it
// saves the start, every step and the end of the run: N+2 atomic saves for N steps,
// in tests as in production. [Resume] continues after the last saved step, in this
// or another process, [Signal] answers a pause, and [Replay] runs the records again
// without calling an agent.
//
// The record of a step is saved exactly once, but its effects can happen more than
// once: an agent whose record was not saved is called again after a crash, with the
// same [Request.Key]. Conditions, choices and merges are evaluated again as well, so
// they must depend on the scope alone.
//
// The package is not a scheduler, a queue or a workflow server.
package core
