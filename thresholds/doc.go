// Package thresholds derives limits, stores them, and judges measurements by them.
//
// Only [Calibrate] creates a limit. It derives the limit from sessions of the unchanged program,
// proves by resampling that the limit holds for that program and breaks for a slow-down of its
// margin, and stores both rates with the provenance. Limits are stored in one TOML file per
// class of machine ([Load], [File.Save]). [Diff] lists the changes between two files and marks
// every change that loosens a limit.
//
// [Judge] judges a comparison by a limit, [Judging] the difference of two programs without one.
// The result is a [Verdict]; no other package computes verdicts. The zero outcome is
// inconclusive. Every verdict contains its own self-check: an A/A pair, which must hold, and an
// injected slow-down, which must break.
//
// Notation: W, N and F are the times of the arms backend (with saves), none (without) and floor
// (the same writes by bare driver calls). (W-N)/F is the overhead ratio.
package thresholds
