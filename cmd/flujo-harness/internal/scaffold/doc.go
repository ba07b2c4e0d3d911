// Package scaffold has the command init, which writes a first pipeline, its suite and CI
// workflows into a Go module.
package scaffold
