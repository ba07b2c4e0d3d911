// Package cli holds what every command needs: exit codes, output that cannot act on a
// terminal or a CI service, progress, and figures for people.
package cli
