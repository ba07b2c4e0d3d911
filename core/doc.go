// Package core is a compact durable engine for pipelines of agents.
//
// A [Pipeline] is data: nodes with paths, known before the first run. Steps call
// agents ([Step]); [Then], [Loop], [Branch], [Parallel], [Map], [Fallback],
// [Validate], [Redirect] and [Sub] hold other nodes; [Human] waits for a person, [Wait] for a time, and [Pass] does nothing.
// [New] finds what is wrong with a plan, and knows the worst-case number of calls
// of every agent.
//
// [Run] executes a plan over a typed scope and, when the [Engine] has a [Backend],
// saves the start, every step and the end of the run, each atomically: a
// run of N steps makes N+2 saves. [Resume] goes on, in this or another
// process, behind the last saved steps: it walks the plan again, takes records in
// place of calls, and asks conditions and merges anew, so these must depend on the
// scope alone; where they do not, it stops with [ErrDiverged] before any call.
// [Signal] answers a pause. [Replay] runs a record again without any agent.
//
// There is no test mode: no option and no environment variable skips a save.
//
// What functions of the user receive is the same in an undisturbed run and after any
// resume: errors of agents have a recorded form ([RecordedError]) from the start, in
// which errors.Is finds codes ([Code]) and nothing else, and scopes and outputs whose
// types leave something out when they are stored are read back at once.
//
// A program may be replaced while its runs are open. A plan to which steps were added
// behind those that are saved goes on with them; any other change is refused with its
// first difference ([ErrPlanChanged]). A scope whose fields have changed needs an
// UnmarshalJSON that reads what is stored in the old form too, and the MarshalJSON that
// belongs to it: see the example named migration.
//
// What it promises: step records exactly once, step effects at least once. An
// agent that was called but whose record was not saved is called again after a
// crash, with the same [Request.Key], so that it can recognise the repetition. A
// scope comes back as it was stored, or is refused with the path of the field. A
// failure may be handled by retries, fallbacks and loops; a pause, want of budget,
// a lost lease, a cancelled context and a fault of the harness may not.
//
// What it is not: a scheduler, a queue or a workflow server. Goroutines are
// started for branches, and for calls with a deadline, and end with them.
package core
