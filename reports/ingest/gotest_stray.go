package ingest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// strayLines are the lines of a stream of events that are none: what Go before 1.24
// prints of builds, and what any program prints that writes to the same file.
type strayLines struct {
	count   int   // of the lines that report no failure
	first   int   // the first stray line of all, from 1; 0: none
	why     error // that it is no event
	builds  map[string]*excerpt
	build   string            // the package that the lines are about now, "" for none
	failed  map[string]string // by package: the line that says so
	loose   excerpt           // failures that name no package
	end     bool              // a lone FAIL or exit status, which go test and scripts print behind any failure
	trouble bool              // the lines belong to the one before, which is in loose
	cut     int               // number of the last line, where it is the beginning of one that counts
	last    bool              // the last line is the head of what a build printed
}

var (
	strayHead = regexp.MustCompile(`^# ([^\s\[]\S*)( \[\S+\])?$`)
	strayFail = regexp.MustCompile(`^FAIL\t(\S+)`)
	strayEnd  = regexp.MustCompile(`^(FAIL|(.*: )?exit status [1-9]\d*)$`)

	// goSource is where a compiler or vet says that it found a mistake.
	goSource = regexp.MustCompile(`(?m)^(?:vet: )?(\S+\.go):(\d+)(?::|\s|$)`)

	strayMistake = regexp.MustCompile(`^(vet: )?\S+\.go:\d+:\d+: `)
	strayWarning = regexp.MustCompile(`^\S+\.go:\d+:\d+: (warning|note): `)
	strayGo      = regexp.MustCompile(`^go: `)
	// strayNews are what the go command reports of its own work.
	strayNews = regexp.MustCompile(`^go: (downloading|extracting|finding|found|added|upgraded|downgraded|removed|creating|copying|writing|switching|warning:|to add|upgrading|trying)\b`)

	strayTrouble = regexp.MustCompile(`\bFAIL(ED|URE)?\b|"Action":"(fail|build-fail)"` +
		`|^\s*(panic: |fatal error: |runtime: |signal: |SIG[A-Z]+: |unexpected fault address|make(\[\d+\])?: \*\*\*|Killed\b|Terminated\b|Segmentation fault|##\[error\]|::error)` +
		`|\[(build|setup) failed\]|exit status [1-9]|: (no Go files in|build constraints exclude all Go files|import cycle not allowed|cannot find (package|module))|^no required module provides|\*\*\* Test killed`)
)

// documentLine begins a document of results of another format: a file that holds two must
// not be read as if the second were not there.
var documentLine = regexp.MustCompile(`^\s*(<\?xml |<(testsuites?|testcase|TestRun|test-run|test-results|test-suite|assembly|assemblies)[ />]` +
	`|(\[\s*)?(\{\s*)?("SuitePath"\s*:|"reportFormat"\s*:|"results"\s*:\s*\{))`)

// add takes a line, and returns how many bytes more are kept of it.
func (s *strayLines) add(number int, line string, why error) int {
	if s.first == 0 {
		s.first, s.why = number, why
		s.builds, s.failed = map[string]*excerpt{}, map[string]string{}
	}
	line = strings.TrimRight(line, "\r\n")
	s.last = false
	if m := strayHead.FindStringSubmatch(line); m != nil {
		s.build, s.trouble, s.last = m[1], false, true
		return s.keep(line)
	}
	if m := strayFail.FindStringSubmatch(line); m != nil {
		s.failed[m[1]], s.build, s.trouble = line, "", false
		return len(line) + overhead
	}
	switch {
	case strayEnd.MatchString(line):
		s.end, s.build, s.trouble = true, "", false
		return 0
	case s.build != "" && strayWarning.MatchString(line):
	case s.build != "" && (strayMistake.MatchString(line) || strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "# ") || line == "too many errors"):
		return s.keep(line)
	case s.trouble, strayTrouble.MatchString(line), documentLine.MatchString(line), strayMistake.MatchString(line) && !strayWarning.MatchString(line), strayGo.MatchString(line) && !strayNews.MatchString(line):
		s.trouble = true
		return s.loose.add(line + "\n")
	}
	s.count++
	return 0
}

// ended takes the last line of a file, which is no event and has no line break: what begins
// as an event, the output of a build or a failure was cut.
func (s *strayLines) ended(number int, line string) {
	build := s.build != "" && !strayWarning.MatchString(line)
	if build || line[0] == '{' || slices.ContainsFunc([]string{"FAIL", "exit status 1", "# "}, func(word string) bool { return strings.HasPrefix(word, line) }) {
		s.cut = number
	}
}

// mistaken reports whether a compiler or vet says in a text that it found a mistake.
func mistaken(text string) bool {
	for line := range strings.Lines(text) {
		if strayMistake.MatchString(line) && !strayWarning.MatchString(line) {
			return true
		}
	}
	return false
}

// about is what the lines say of the build of a package.
func (s *strayLines) about(pkg string) string {
	if b := s.builds[pkg]; b != nil {
		return b.String()
	}
	return ""
}

// keep keeps a line about the build of a package.
func (s *strayLines) keep(line string) int {
	b := s.builds[s.build]
	if b == nil {
		b = &excerpt{}
		s.builds[s.build] = b
	}
	return b.add(line+"\n") + overhead
}

// endStray reports the failures that no event does.
func (g *goTestReader) endStray() error {
	s := &g.stray
	if s.first == 0 {
		return nil
	}
	for pkg, text := range s.builds { // one that failed, though the line with FAIL is not there
		if s.failed[pkg] == "" && goSource.MatchString(text.String()) {
			s.failed[pkg] = "its build failed"
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(s.failed)) {
		if slices.ContainsFunc(g.runs[pkg], func(r packageRun) bool { return r.failed }) {
			continue
		}
		line, node := s.failed[pkg], "package"
		if strings.Contains(line, "[build failed]") || strings.Contains(line, "[setup failed]") || s.builds[pkg] != nil {
			node = "build"
		}
		if err := g.outside(pkg, node, s.about(pkg)+line); err != nil {
			return err
		}
	}
	text := s.loose.String()
	if text == "" && g.c.results.Counts().Failed+g.c.results.SuiteFailures() == 0 {
		switch {
		case s.end:
			text = "a line that is no event says FAIL or an exit status, and no event reports a failure"
		case s.cut > 0:
			text = fmt.Sprintf("the file ends within line %d: it was cut short", s.cut)
		case s.last:
			text = "the file ends where the output of a build begins: it was cut short"
		}
	}
	if text != "" {
		if err := g.outside("go test", "output", text); err != nil {
			return err
		}
	}
	if s.count > 0 {
		g.c.note("lines that are no events, passed over: %d; the first is line %d: %v", s.count, s.first, s.why)
	}
	return nil
}
