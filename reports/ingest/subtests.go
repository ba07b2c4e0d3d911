package ingest

import "strings"

// subtests knows which tests of a Go package have subtests, and in which of those a
// subtest failed.
type subtests struct {
	parent, failed map[string]bool
	up             func(string) string // the test that a test belongs to, "" for none
}

// subtestsOf looks at the names of all tests, and at which of them failed.
func subtestsOf(names []string, failed map[string]bool) subtests {
	known := make(map[string]bool, len(names))
	for _, name := range names {
		known[name] = true
	}
	return subtestsBy(names, failed, func(name string) string {
		return above(name, func(name string) bool { return known[name] })
	})
}

// subtestsBy is subtestsOf where up gives the test that a test belongs to.
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

// above is the longest part of a subtest's name that ends before a slash and is the name
// of a test, "" where there is none. The name of a subtest may have slashes of its own;
// more than 64 are not looked through.
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

// family finds the subtests of the package's tests by their events. A name alone does not
// say it: "GET_/users/1" may be a subtest of "GET_/users", or stand next to it.
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

// mayRun reports whether the events allow that up has run t as a subtest: up has begun
// before t and was not paused then, as one that waits for others to run in parallel is;
// and it has not ended before t did. What has no event is taken as allowed.
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
