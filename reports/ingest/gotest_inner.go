package ingest

import "github.com/flujo/flujo-harness/reports"

// leaveOutInner removes failed tests that another test ran by testing.RunTests, as tests of test
// frameworks do, which expect the failure. They are recognised by a package that printed PASS, or by
// a parent that passed: a failed subtest of t.Run would have made its parent fail, and the program
// would have printed FAIL.
func (g *goTestReader) leaveOutInner(p *goPackage, action string) {
	clean := action == "pass" && p.passed && !p.fail && !p.failed
	left := p.tests[:0:0]
	for _, t := range p.tests {
		inner := t.state == reports.Failed && !t.running && !t.benchmark() && (clean || p.insidePassed(t))
		if !inner {
			left = append(left, t)
			continue
		}
		g.inner++
		g.c.kept -= t.out.size()
	}
	if len(left) == len(p.tests) {
		return
	}
	p.tests, p.named = left, map[string]*goTest{}
	for _, t := range left {
		p.named[t.name] = t
	}
}

// insidePassed reports whether a test ran inside of another one all of whose runs passed.
func (p *goPackage) insidePassed(t *goTest) bool {
	up := above(t.name, func(name string) bool {
		up := p.named[name]
		return up != nil && up.begin > 0 && up.stop > 0 && t.begin > 0 && t.stop > 0 && up.mayRun(t) && up.state == reports.Passed && up.failures == 0
	})
	return up != ""
}
