// Package postgresbench is what package postgres gives to be measured, and what a program that
// only saves runs does not carry.
//
// Every database that is measured is a schema of its own, flujo_bench_…, of the database that
// the address names: the role must be allowed to create schemas. They are dropped when they
// are not needed any more, also those that a killed process has left. Use a server that nobody
// else needs at the time: what others do to it is in the figures.
//
// The floor executes the recorded statements with the recorded arguments in the recorded
// transactions, each in one round trip, on as many connections as committed at the same time
// when they were recorded.
package postgresbench
