// Package postgres is the backend of package core for several machines: a PostgreSQL
// database, version 13 or newer, by way of github.com/jackc/pgx/v5.
//
// Use it where several machines share runs, or where runs must go on when a machine is
// lost. On one machine package sqlite is faster at every number of runs at once and needs
// no server.
//
// [Open] takes an address such as
//
//	postgres://user@host:5432/database?sslmode=verify-full&sslrootcert=/etc/ca.pem
//
// or key=value pairs. Leave the password to the variable PGPASSWORD or to a .pgpass file.
// The tables are in the schema flujo, or the one that the parameter search_path names, and
// are created by the first Open whose user may do so. The parameter pool_max_conns is the
// most connections of one Backend, 8 unless it is given.
//
// # What is saved
//
// Each save is one statement, fenced by the epoch, the status and the number of records in
// the row of the run. Saves of runs at once share transactions and round trips, with as
// many transactions at once as there are connections. Rows carry checksums.
//
// # Outcomes
//
// A write has a deadline of its own of [Patience]. Where the connection fails, the write is
// repeated on another one until it is known whether it was made: all writes are such that
// the second one is refused, and finds the first. Only when the server stays away that long
// does a write return [core.ErrInDoubt], or, where nothing was sent, what is wrong with the
// connection.
//
// # Durability
//
// [Durability] says what a save survives. Settings of the server that break the promise
// are refused when a connection is opened. With asynchronous replication a standby that is
// promoted lacks the last saves of the lost primary: name the standby in
// synchronous_standby_names where that must not happen.
//
// # Poolers
//
// PgBouncer and its like must be in session mode. One that shares server connections
// between clients is refused by Open.
//
// # Privileges
//
// [Grants] returns the statements that give a role what an engine or a reader needs.
package postgres
