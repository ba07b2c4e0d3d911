// Package suites holds the Ginkgo suites of this project: what the engine promises,
// told as specs, and that a measurement tells the product's faults from its own.
//
// It is the only package that imports Ginkgo's DSL, which registers flags and keeps
// global state.
package suites
