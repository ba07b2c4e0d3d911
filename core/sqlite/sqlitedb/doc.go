// Package sqlitedb opens SQLite database files, through modernc.org/sqlite, with settings
// that are made and read back on every connection, and brings their schema to the
// version of the program. The engine's backend and the history of reports are made on it.
//
// [Open] and [OpenReadOnly] return pools of connections, [NewConnector] the means to open
// single ones. What a database cannot be protected from on this system is told by
// [Warnings]; what would lose acknowledged writes is refused: locks that do not hold
// ([ErrWeakLocks]) and files of other machines.
package sqlitedb
