// Package coretest specifies [core.Backend]: it has the tests that every implementation must pass.
// The tests of a backend call them.
//
//   - [Conformance] checks the contract, one requirement after the other.
//   - [Model] runs generated histories of operations, including misused leases and reopening of
//     the backend, and compares the backend with a simple model.
//   - [Recovery] kills a process before and after every commit of a pipeline that uses every
//     combinator.
//   - [Fencing] freezes a process, lets another one finish its run, and resumes the first.
//   - [Rivals] lets two processes compete for the same answer, claim or run.
//
// The last three are for backends whose data outlives the process. They start the test program
// again as a child process, so TestMain must call [Main].
//
// Each check has controls: backends with a known defect, which the check must find. A check without
// a failing control proves nothing.
//
// ConformanceCases and similar functions return the same checks one by one, for other test
// frameworks: suites.DescribeBackend makes specs from them.
//
// By default a short form runs. The long forms are:
//
//	go test ./core/sqlite -run Model -rapid.checks=10000
//	go test ./core/sqlite -run Recovery -coretest.rounds=2000 -coretest.seed=7 -timeout=1h
//	go test ./core/sqlite -run 'Fencing|Rivals' -coretest.rounds=500 -coretest.seed=7 -timeout=1h
//
// The checks cannot detect a missing fsync: the page cache of the operating system survives
// SIGKILL. Only a loss of power shows it.
package coretest
