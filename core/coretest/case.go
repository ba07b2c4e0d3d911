package coretest

import "testing"

// Case is one requirement on a backend, independent of the test framework that runs it.
type Case struct {
	Name  string
	Check func(t testing.TB)
}

// run runs each case as a subtest of t.
func run(t *testing.T, cases []Case) {
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) { c.Check(t) })
	}
}
