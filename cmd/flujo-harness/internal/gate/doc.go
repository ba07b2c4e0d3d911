// Package gate contains the command that judges recorded results.
package gate
