package ingest

import "strings"

// subtests records which tests of a Go package have subtests, and which have a failed subtest.
type subtests struct {
	parent, failed map[string]bool
	up             func(string) string // returns the parent of a subtest, "" if it is none
}

// subtestsOf derives subtests from the names of all tests and of those that failed.
func subtestsOf(names []string, failed map[string]bool) subtests {
	known := make(map[string]bool, len(names))
	for _, name := range names {
		known[name] = true
	}
	return subtestsBy(names, failed, func(name string) string {
		return above(name, func(name string) bool { return known[name] })
	})
}

// subtestsBy is subtestsOf with another function to find the parent of a subtest.
func subtestsBy(names []string, failed map[string]bool, up func(string) string) subtests {
	s := subtests{map[string]bool{}, map[string]bool{}, up}
	for _, name := range names {
		for parent := up(name); parent != ""; parent = up(parent) {
			more := !s.parent[parent] || failed[name] && !s.failed[parent]
			s.parent[parent] = true
			if failed[name] {
				s.failed[parent] = true
			}
			if !more {
				break
			}
		}
	}
	return s
}

// above returns the longest prefix of a subtest's name that ends before a slash and is the name of
// a test, or "". Since names of subtests may contain slashes, it tries several; 64 at most, because
// the names of a hostile file would take quadratic time.
func above(name string, is func(string) bool) string {
	for range 64 {
		slash := strings.LastIndexByte(name, '/')
		if slash < 0 {
			return ""
		}
		if name = name[:slash]; is(name) {
			return name
		}
	}
	return ""
}

// family finds the subtests of the package's tests by their events. The name alone is ambiguous:
// "GET_/users/1" may be a subtest of "GET_/users" or another subtest of its parent.
func (p *goPackage) family(failed map[string]bool) subtests {
	names := make([]string, len(p.tests))
	for i, t := range p.tests {
		names[i] = t.name
	}
	return subtestsBy(names, failed, func(name string) string {
		t := p.named[name]
		return above(name, func(name string) bool {
			up := p.named[name]
			return up != nil && up.mayRun(t)
		})
	})
}

// mayRun reports whether the events are consistent with t being a subtest of up: up began before
// t, was not paused (waiting for its turn as a parallel test) when t began, and did not end before
// t. Missing events count as consistent.
func (up *goTest) mayRun(t *goTest) bool {
	if up.begin > 0 && t.begin > 0 {
		paused := up.pause > 0 && up.pause < t.begin && (up.cont == 0 || up.cont > t.begin)
		ended := up.stop > 0 && up.stop < t.begin
		if up.begin > t.begin || paused || ended {
			return false
		}
	}
	return up.stop == 0 || t.stop == 0 || up.stop > t.stop
}
