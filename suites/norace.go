//go:build !race

package suites

const instrumented = false
