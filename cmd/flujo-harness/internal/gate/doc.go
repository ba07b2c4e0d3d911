// Package gate has the command that judges recorded results.
package gate
