// Package postgresbench lets package harness measure package postgres. It is a package of its own,
// so that programs that only save runs do not contain this code.
//
// Every measured database is a schema of its own, flujo_bench_…, in the database at the given
// address: the role must be allowed to create schemas. Schemas are dropped when they are no longer
// needed, including those that a killed process has left. Use a server that has no other load
// during the measurement, because other load affects the results.
//
// The floor executes the recorded statements with the recorded arguments in the recorded
// transactions. Each transaction takes one round trip. It uses as many connections as committed
// concurrently during the recording.
package postgresbench
