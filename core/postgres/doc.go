// Package postgres is the backend of package core for several machines: a PostgreSQL
// database, version 13 or newer, by way of github.com/jackc/pgx/v5.
//
// Use it where several machines share runs, or where runs must go on when a machine is
// lost. On one machine package sqlite is faster for any number of simultaneous runs and needs
// no server.
//
// [Open] takes an address such as
//
//	postgres://user@host:5432/database?sslmode=verify-full&sslrootcert=/etc/ca.pem
//
// or key=value pairs. Leave the password to the variable PGPASSWORD or to a .pgpass file.
// The tables are in the schema flujo, or the one that the parameter search_path names, and
// are created by the first Open whose user may do so. The parameter pool_max_conns is the
// maximum number of connections of a Backend; the default is 8.
//
// # What is saved
//
// Each save is one statement, fenced by the nonce of the lease, the status and the number of records
// in the row of the run. Saves of simultaneous runs share transactions and round trips; there are at
// most as many simultaneous transactions as connections. Rows have checksums.
//
// # Outcomes
//
// A write has a deadline of its own, [Patience]. If the connection fails, the write is repeated on
// another one until it is known whether it took effect: a repetition is refused if the first attempt
// succeeded. Only if the server cannot be reached for that long does a write return
// [core.ErrInDoubt] or, if nothing was sent, the error of the connection.
//
// # Durability
//
// [Durability] says what a save survives. Settings of the server that break the promise
// are refused when a connection is opened. With asynchronous replication, a promoted standby may
// lack the last saves of the lost primary: to prevent that, name the standby in
// synchronous_standby_names. Executors of runs and claims that are lost in this way are fenced.
//
// # Poolers
//
// PgBouncer and similar poolers must be in session mode. Open refuses a pooler that shares server
// connections between clients.
//
// # Privileges
//
// [Grants] returns the statements that give a role what an engine or a reader needs.
package postgres
