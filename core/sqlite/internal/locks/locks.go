// Package locks chooses how this process locks files.
package locks

import driversqlite "modernc.org/sqlite"

// Choose asks the driver for open file description locks (true) or POSIX locks (false),
// and says which it has. It is [driversqlite.OFDLocking], but in tests of what happens
// without the better ones.
var Choose = driversqlite.OFDLocking
