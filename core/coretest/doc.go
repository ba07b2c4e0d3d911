// Package coretest is the meaning of a backend: what every implementation of
// [core.Backend] must do, as tests to be called from those of the backend.
//
//   - [Conformance] is the contract, one demand after the other.
//   - [Model] plays generated histories of operations, with leases used wrongly and
//     the backend closed and opened again, against a simple model.
//   - [Recovery] kills a process before and after every commit of a pipeline that uses
//     every combinator.
//   - [Fencing] freezes a process, lets another finish its run, and wakes it up.
//   - [Rivals] lets two processes want the same answer, claim or run at once.
//
// The last three are for a backend that outlives the process. They start the test
// program again as their child: TestMain must call [Main].
//
// Each comes with controls: backends with a known defect, which it must find. A check
// of which no control is red proves nothing.
//
// ConformanceCases and its like are the same one by one, for test frameworks: suites.DescribeBackend
// makes specs of them.
//
// The normal tests take the short form. The long ones:
//
//	go test ./core/sqlite -run Model -rapid.checks=10000
//	go test ./core/sqlite -run Recovery -coretest.rounds=2000 -coretest.seed=7 -timeout=1h
//	go test ./core/sqlite -run 'Fencing|Rivals' -coretest.rounds=500 -coretest.seed=7 -timeout=1h
//
// What it does not see: a missing fsync. The memory of the system survives SIGKILL;
// only a loss of power shows it.
package coretest
