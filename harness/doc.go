// Package harness measures what durability costs: facts, no judgement.
//
// [Measure] runs a [Workload] in several arms: without a backend (N), with it (W),
// as the same bytes by bare driver calls (F), once more as the twin of an A/A pair
// and slowed down on purpose. Arms are interleaved in random order over blocks that
// open everything afresh, in processes of their own; the paired (W-N)/F of a block
// is its statistic. The scripts of all arms are sized from the [Plan].
//
// The [Comparison] carries every figure with unit, n and interval, the blocks it was
// made of, and an audit: equal work in every arm, saves counted and read back, no
// run, sample or script missing. Limits are unknown here; package thresholds judges.
//
// # Terms
//
//   - An operation is one run of the pipeline, or as many as the workload makes at once.
//   - An arm is one variant under measurement; the name is that of statistics. Programs
//     that are compared by [Compare] are arms, too: base and head.
//   - A slot is the time of one arm in one round.
//   - A round has one slot of each arm, in random order, so that what slows the machine
//     down meets all arms alike.
//   - A block opens every arm afresh, a new database file included, and runs several
//     rounds. A file, its caches and its place on the disk give a block a bias of its own;
//     therefore the block, not the round, is the unit of the statistics.
//   - A session is a process that measures several blocks. Each process has a bias of its
//     own too (the layout of its memory, for one): JMH repeats processes for the same
//     reason, and calls them forks.
//   - The floor is the work that any program has to do to keep the same bytes as durably:
//     the recorded statements of the backend, repeated by bare driver calls.
//   - The cost ratio is (W-N)/F: what durability costs, in units of the floor. Since both
//     parts are measured in the same block, a slow machine changes both.
//   - The A/A pair is the backend arm and its twin, which do the same: a rule that sees a
//     difference between them is not to be trusted.
//   - The injected slow-down is the backend arm made slower by a known share: a rule that
//     does not see it could not have seen a regression.
package harness
