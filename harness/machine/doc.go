// Package machine describes the machine that measurements run on and decides whether it is
// suitable for them.
//
// [Describe] returns the [Environment] of this machine, whose class selects the limits that
// apply. [Canary] runs a loop of known work and reports how much of the time it was kept from
// the processor. [Inspect] runs the checks of the doctor command: clock, load, memory, file
// system, storage and Go settings, each with its consequence for timings.
package machine
