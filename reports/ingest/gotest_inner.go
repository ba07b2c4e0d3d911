package ingest

import "github.com/flujo/flujo-harness/reports"

// leaveOutInner removes the tests that failed inside of another test, which ran them by
// testing.RunTests and took care of the result, as tests of test frameworks do. Go counts none of
// them: its test program says PASS where they fail, and a failed subtest that t.Run had run would
// have failed the test above it. Of what fails itself the program says FAIL, also where its main
// function ignores that.
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

// insidePassed reports whether a test ran inside of one that passed every time.
func (p *goPackage) insidePassed(t *goTest) bool {
	up := above(t.name, func(name string) bool {
		up := p.named[name]
		return up != nil && up.begin > 0 && up.stop > 0 && t.begin > 0 && t.stop > 0 && up.mayRun(t) && up.state == reports.Passed && up.failures == 0
	})
	return up != ""
}
