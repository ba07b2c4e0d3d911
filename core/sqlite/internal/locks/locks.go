// Package locks selects the kind of file locks of this process.
package locks

import driversqlite "modernc.org/sqlite"

// Choose asks the driver for open file description locks (true) or POSIX locks (false) and returns
// which kind it uses. It is [driversqlite.OFDLocking], except in tests of the weaker POSIX locks.
var Choose = driversqlite.OFDLocking
