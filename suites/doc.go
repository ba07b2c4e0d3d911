// Package suites is for specs in Ginkgo: descriptions to be imported into a suite of
// one's own, matchers, and this project's own suites, which use them.
//
// Descriptions are called at the level of a package, since some start the test program
// again, to be measured or killed:
//
//   - [DescribePipeline]: a table of cases with scripted agents; each is run, replayed,
//     run beside others, stopped for want of budget, answered twice, and killed at
//     every save.
//   - [DescribeBackend]: what package coretest demands of a backend.
//   - [DescribeOverhead]: what durability costs a pipeline, judged by its limit.
//
// Matchers are about runs: [Run] makes one to look at, whatever becomes of it.
// [HaveCompleted], [HaveFailedAt], [HavePausedAt], [HaveStoppedFor], [HaveExitReason],
// [HaveSaved] and [ReplayIdentically] take what it returns, and as far as it can be
// known from them a core.Result, a core.Snapshot or an error. [Hold] and [HoldLimit]
// are about verdicts, [LeakNothing] about functions. What was not found out is an error,
// which neither To nor NotTo accepts: a script that ran dry, a run that was cut off, an
// inconclusive verdict. A failure shows the table of what was saved.
//
// What this package is not: a framework. Everything in it is an ordinary Ginkgo spec or
// Gomega matcher, and it is the only package here that imports Ginkgo's DSL, which
// registers flags and keeps global state.
//
// # Labels
//
// Every spec has one label "category:NAME": what it is about, by which reports group.
// Specs about one pipeline or workload have "workload:NAME", too. The categories are
//
//   - of the descriptions: outcome, replay, isolation, budget, recovery,
//     human-in-the-loop, conformance, persistence-overhead;
//   - of this project's suites, besides: pipeline, loops, error-recovery, messages,
//     success-conditions, test-doubles, serialization, compatibility, comparison, gate,
//     matchers, self-check.
//
// To choose by them:
//
//	go tool ginkgo --label-filter 'category: containsAny {recovery, replay} && workload: containsAny order' ./...
//
// # Examples
//
// An order that a person approves, a review loop, and a comparison of encoding/json with
// a wrapper are whole suites of this package, and examples of [DescribePipeline] and of
// [Hold].
package suites
