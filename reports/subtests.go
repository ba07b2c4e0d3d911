package reports

import "strings"

// subtests knows which tests of a Go package have subtests, and in which of those a
// subtest failed.
type subtests struct{ parent, failed map[string]bool }

// subtestsOf looks at the names of all tests, and at which of them failed.
func subtestsOf(names []string, failed map[string]bool) subtests {
	known := make(map[string]bool, len(names))
	for _, name := range names {
		known[name] = true
	}
	s := subtests{map[string]bool{}, map[string]bool{}}
	for _, name := range names {
		for up := above(name, known); up != ""; up = above(up, known) {
			more := !s.parent[up] || failed[name] && !s.failed[up]
			s.parent[up] = true
			if failed[name] {
				s.failed[up] = true
			}
			if !more {
				break
			}
		}
	}
	return s
}

// above is the test that a subtest belongs to, "" for one that is none. The name of a
// subtest may have slashes of its own; more than 64 are not looked through.
func above(name string, known map[string]bool) string {
	for range 64 {
		slash := strings.LastIndexByte(name, '/')
		if slash < 0 {
			return ""
		}
		if name = name[:slash]; known[name] {
			return name
		}
	}
	return ""
}
