// Package machine describes the machine that measurements are made on, and judges whether
// it is a place to measure.
//
// [Describe] returns the [Environment] of this machine; limits are kept by its class.
// [Canary] runs a loop of known work and reports how much of the time it was kept from the
// processor. [Inspect] makes the checks of the command doctor: clock, load, memory, file
// system, storage and Go settings, each with what it means for timings.
package machine
