// Package coretest is the meaning of a backend: what every implementation of
// [core.Backend] must do, as plain tests. Call [Conformance] from a test of the
// backend, and [Recovery], for a backend that outlives the process, from a test
// whose TestMain calls [Main].
package coretest
