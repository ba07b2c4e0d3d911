// Package suites provides Ginkgo descriptions for use in other suites, Gomega matchers for runs, and
// this project's own suites, which use them.
//
// Descriptions must be called at package level, because some start the test program again to be
// measured or killed:
//
//   - [DescribePipeline]: a table of cases with scripted agents. Each case is run, replayed, run
//     concurrently, stopped by its budget, answered twice, and killed at every save.
//   - [DescribeBackend]: the requirements of package coretest for a backend.
//   - [DescribeOverhead]: the cost of durability of a pipeline, judged by its limit.
//
// Matchers apply to runs. [Run] executes a run and returns it whatever its outcome.
// [HaveCompleted], [HaveFailedAt], [HavePausedAt], [HaveStoppedFor], [HaveExitReason], [HaveSaved]
// and [ReplayIdentically] accept its result and, as far as these contain the information, a
// core.Result, a core.Snapshot or an error. [Hold] and [HoldLimit] apply to verdicts, [LeakNothing]
// to functions. If a property is unknown, because a script was exhausted, a run was interrupted or
// a verdict is inconclusive, the matcher returns an error, which fails both To and NotTo. Failure
// messages contain the table of saved records.
//
// The package is not a framework: it consists of ordinary Ginkgo specs and Gomega matchers. It is the
// only package of this module that imports Ginkgo's DSL, which registers flags and has global state.
//
// # Labels
//
// Every spec has one label "category:NAME", by which reports group specs. Specs for one pipeline or
// workload also have "workload:NAME". The categories are
//
//   - of the descriptions: outcome, replay, isolation, budget, recovery,
//     human-in-the-loop, conformance, persistence-overhead;
//   - of this project's suites, in addition: pipeline, loops, error-recovery, messages,
//     success-conditions, test-doubles, serialization, compatibility, comparison, gate,
//     matchers, self-check.
//
// To select specs by label:
//
//	go tool ginkgo --label-filter 'category: containsAny {recovery, replay} && workload: containsAny order' ./...
//
// # Examples
//
// The examples of [DescribePipeline] and [Hold] are complete suites: an order that a person
// approves, a review loop, and a comparison of encoding/json with a wrapper.
package suites
