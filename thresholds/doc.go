// Package thresholds holds limits and judges comparisons by them.
//
// A limit comes only from [Calibrate], which derives it from sessions of the
// unchanged program, proves by replay that it holds for them and breaks for a
// slow-down of its margin, and writes both rates beside it with its provenance.
// Limits live in one TOML file for each environment class ([Load], [File.Save]);
// what changed between two files is a diff ([Compare]) in which every loosening
// is named.
//
// [Judge] turns a comparison into a [Verdict]. It is the only place that does. Its
// zero value is inconclusive, and every verdict carries its own self-check: an A/A
// pair that must hold and an injected slow-down that must break.
package thresholds
