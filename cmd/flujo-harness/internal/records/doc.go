// Package records contains the history command, and the access of other commands to a module's
// history and to the store that it shares with other machines.
package records
