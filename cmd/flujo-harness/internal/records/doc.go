// Package records has the history of a module and the store that it shares with other machines:
// what commands read it with, and the command history.
package records
