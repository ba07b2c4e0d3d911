package ingest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// strayLines collects lines that are not events: the output of builds before Go 1.24, and output of
// other programs that write to the same file.
type strayLines struct {
	count   int                 // number of lines that report no failure
	first   int                 // number of the first line, from 1; 0 if there is none
	why     error               // why the first line is not an event
	builds  map[string]*excerpt // output of builds, by package
	build   string              // package whose build printed the current line, or ""
	failed  map[string]string   // the line that reports the failure of a package, by package
	loose   excerpt             // failures without a package
	end     bool                // a line is only FAIL or an exit status, which go test and scripts print after any failure
	trouble bool                // the following lines continue the failure at the end of loose
	cut     int                 // number of the last line, if it is an incomplete line of importance
	last    bool                // the last line is the heading of the output of a build
}

var (
	strayHead = regexp.MustCompile(`^# ([^\s\[]\S*)( \[\S+\])?$`)
	strayFail = regexp.MustCompile(`^FAIL\t(\S+)`)
	strayEnd  = regexp.MustCompile(`^(FAIL|(.*: )?exit status [1-9]\d*)$`)

	// goSource matches the location in an error of the compiler or of vet.
	goSource = regexp.MustCompile(`(?m)^(?:vet: )?(\S+\.go):(\d+)(?::|\s|$)`)

	strayMistake = regexp.MustCompile(`^(vet: )?\S+\.go:\d+:\d+: `)
	strayWarning = regexp.MustCompile(`^\S+\.go:\d+:\d+: (warning|note): `)
	strayGo      = regexp.MustCompile(`^go: `)
	// strayNews matches lines in which the go command reports its work rather than an error.
	strayNews = regexp.MustCompile(`^go: (downloading|extracting|finding|found|added|upgraded|downgraded|removed|creating|copying|writing|switching|warning:|to add|upgrading|trying)\b`)

	strayTrouble = regexp.MustCompile(`\bFAIL(ED|URE)?\b|"Action":"(fail|build-fail)"` +
		`|^\s*(panic: |fatal error: |runtime: |signal: |SIG[A-Z]+: |unexpected fault address|make(\[\d+\])?: \*\*\*|Killed\b|Terminated\b|Segmentation fault|##\[error\]|::error)` +
		`|\[(build|setup) failed\]|exit status [1-9]|: (no Go files in|build constraints exclude all Go files|import cycle not allowed|cannot find (package|module))|^no required module provides|\*\*\* Test killed`)
)

// documentLine matches the first line of a document in another format of results. A file that contains
// two documents must not be read as if the second one were missing.
var documentLine = regexp.MustCompile(`^\s*(<\?xml |<(testsuites?|testcase|TestRun|test-run|test-results|test-suite|assembly|assemblies)[ />]` +
	`|(\[\s*)?(\{\s*)?("SuitePath"\s*:|"reportFormat"\s*:|"results"\s*:\s*\{))`)

// add adds a line and returns the number of additional bytes that are stored.
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

// ended handles the last line of a file if it is not an event and has no line break. If it is the
// beginning of an event, of the output of a build or of a failure, the file is truncated.
func (s *strayLines) ended(number int, line string) {
	build := s.build != "" && !strayWarning.MatchString(line)
	if build || line[0] == '{' || slices.ContainsFunc([]string{"FAIL", "exit status 1", "# "}, func(word string) bool { return strings.HasPrefix(word, line) }) {
		s.cut = number
	}
}

// mistaken reports whether a text contains an error of the compiler or of vet.
func mistaken(text string) bool {
	for line := range strings.Lines(text) {
		if strayMistake.MatchString(line) && !strayWarning.MatchString(line) {
			return true
		}
	}
	return false
}

// about returns the output of the build of a package.
func (s *strayLines) about(pkg string) string {
	if b := s.builds[pkg]; b != nil {
		return b.String()
	}
	return ""
}

// keep adds a line to the output of the current build.
func (s *strayLines) keep(line string) int {
	b := s.builds[s.build]
	if b == nil {
		b = &excerpt{}
		s.builds[s.build] = b
	}
	return b.add(line+"\n") + overhead
}

// endStray adds the failures that only stray lines report.
func (g *goTestReader) endStray() error {
	s := &g.stray
	if s.first == 0 {
		return nil
	}
	for pkg, text := range s.builds { // failed builds whose line with FAIL is missing
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
			text = "a line that is not an event contains FAIL or an exit status, but no event reports a failure"
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
		g.c.note("lines that are not events, ignored: %d; the first is line %d: %v", s.count, s.first, s.why)
	}
	return nil
}
