// Package sqlitedb opens SQLite database files through modernc.org/sqlite, applies settings on
// every connection and reads them back, and migrates schemas. The engine's backend and the
// history of reports use it.
//
// [Open] and [OpenReadOnly] return pools of connections; [NewConnector] returns a connector for
// single connections. Configurations that lose acknowledged writes are refused: unreliable
// locks ([ErrWeakLocks]) and network file systems. [Warnings] lists the protections that this
// system cannot provide.
package sqlitedb
