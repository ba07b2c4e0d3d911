package coretest

import "testing"

// Case is one demand on a backend, for whatever runs tests.
type Case struct {
	Name  string
	Check func(t testing.TB)
}

// run runs cases as tests within a test.
func run(t *testing.T, cases []Case) {
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) { c.Check(t) })
	}
}
