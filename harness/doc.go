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
package harness
