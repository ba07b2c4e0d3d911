// Package stubs makes scripted agents that never run dry by accident.
//
// A script is sized, not written: [Size] multiplies the load of a test or a
// measurement (arms, warm-ups, rounds, batches) by the worst-case calls of every
// step, retries included, which the pipeline knows before its first run. The
// result is a [Book]; printing it shows the formula with its numbers.
//
// A call beyond the script is an [*ExhaustedError]. It wraps core.ErrHarness: the
// engine neither retries nor records it, and a measurement that meets one is
// invalid, not slow and not failed. The book remembers it too, so that nothing in
// between can swallow it: [Book.Verify] reports it at the end.
//
// Life cycle: make agents ([Always], [Outputs], [Generate]), a pipeline of them,
// a book from the pipeline, run under the context of [Book.In], verify.
package stubs
