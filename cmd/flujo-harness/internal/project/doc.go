// Package project finds the Go module that the program was called in, its git commits, and the
// CI run that it is part of.
package project
