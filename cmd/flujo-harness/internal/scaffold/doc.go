// Package scaffold contains the init command, which writes a first pipeline with its suite, or CI
// workflows, into a Go module.
package scaffold
