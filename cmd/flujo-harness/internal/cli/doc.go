// Package cli has what all commands share: exit codes, the help, settings, progress, the
// formatting of figures, and output in which control sequences are escaped.
package cli
