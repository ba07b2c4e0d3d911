// Package core is a compact durable engine for pipelines of agents.
//
// A [Pipeline] is data: steps with paths, known before the first run. [Run]
// executes one over a typed scope and, when the [Engine] has a [Backend], saves
// the start, every step and the end of the run, each in one transaction of its
// own: a run of N steps makes N+2 saves. [Resume] continues, in this or another
// process, behind the last saved step.
//
// There is no test mode: no option and no environment variable skips a save.
//
// What it promises: step records exactly once, step effects at least once. An
// agent that was called but whose record was not saved is called again after a
// crash, with the same [Request.Key], so that it can recognise the repetition.
//
// What it is not: a scheduler, a queue or a workflow server. It starts no
// goroutine of its own and owns no clock but the one it is given.
package core
