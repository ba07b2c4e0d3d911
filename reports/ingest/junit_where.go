package ingest

import (
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// failurePlaces are the forms in which runners write the file and line of a failure into its text.
// If last is set, the last match counts, because such a stack trace lists the callers first.
var failurePlaces = []struct {
	form *regexp.Regexp // file, line
	last bool
}{
	{form: regexp.MustCompile(`(?m)^(\S[^\n:]*\.py):(\d+): [A-Za-z_]*(?:\s|$)`), last: true},                    // pytest
	{form: regexp.MustCompile(`(?m)^\s*File "([^"\n]+\.py)", line (\d+)`), last: true},                          // unittest
	{form: regexp.MustCompile(`(?m)panicked at (?:'.*', )?([^\s:']+\.rs):(\d+):\d+`)},                           // Rust, by nextest
	{form: regexp.MustCompile(`(?m)^at (\S[^\n]*):(\d+)$`)},                                                     // Catch2
	{form: regexp.MustCompile(`(?m)^\s*❯ (?:[^\n(]* )?\(?([^\s():]+):(\d+):\d+\)?$`)},                           // vitest
	{form: regexp.MustCompile(`(?m)^\s*at (?:[^\n(]* )?\(?(?:file://)?([^\s():]+\.[cm]?[jt]sx?):(\d+):\d+\)?`)}, // JavaScript
	{form: regexp.MustCompile(`(?m)^(?:\s*(?:\[[^\]\n]*\] › )?)([^\s:›]+\.[cm]?[jt]sx?):(\d+):\d+ ›? ?`)},       // Playwright
	{form: regexp.MustCompile(`(?m)^\s*at [\w.$/<>]+\(([\w$]+\.(?:java|kt|scala|groovy)):(\d+)\)`)},             // Java
	{form: regexp.MustCompile(`(?m)^\s*(?:at|in) [^\n]* in ([^\n]+\.(?:cs|fs|vb)):line (\d+)`)},                 // .NET
	{form: regexp.MustCompile(`(?m)^\s*(?:# )?(\S+\.(?:rb|exs?|php|swift|dart)):(\d+)`)},                        // RSpec, ExUnit, PHPUnit, XCTest
	{form: regexp.MustCompile(`(?m)^(\S[^\n:]*\.(?:cc|cpp|cxx|c|h|hpp|m|mm)):(\d+)\b`)},                         // GoogleTest
	{form: regexp.MustCompile(`(?m)^\s*(\S+_test\.go):(\d+): `)},                                                // Go
}

// foreign matches files that do not belong to the project.
var foreign = regexp.MustCompile(`(^|/)(node_modules|site-packages|dist-packages|vendor/bundle|gems|internal/process)/|^node:|^<`)

// failedAt sets the file and line of a failure according to its text. Places in the file of the
// test or in a frame of its class take precedence. If the text contains no place, that of the test
// is kept.
func failedAt(s *reports.Spec, class string, relative func(string) string) {
	for _, by := range failurePlaces {
		matches := by.form.FindAllStringSubmatch(s.Message, 40)
		if len(matches) == 0 {
			continue
		}
		best := -1
		for i, m := range matches {
			if foreign.MatchString(m[1]) {
				continue
			}
			if own := isOwn(m, s.File, class); own && !by.last {
				best = i
				break
			}
			if best < 0 || by.last {
				best = i
			}
		}
		if best < 0 || s.File != "" && !isOwn(matches[best], s.File, class) {
			continue
		}
		line, err := strconv.Atoi(matches[best][2])
		if err != nil {
			continue
		}
		file := relative(strings.TrimPrefix(matches[best][1], "./"))
		if s.File != "" && path.Base(s.File) == path.Base(file) && !strings.Contains(file, "/") {
			file = s.File // the text contains only the base name
		}
		s.File, s.Line = file, line
		return
	}
}

// isOwn reports whether a match is in the file of the test or in its class.
func isOwn(match []string, file, class string) bool {
	if file != "" {
		return path.Base(file) == path.Base(match[1])
	}
	name := class
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		name = name[i+1:]
	}
	base := path.Base(match[1])
	return name != "" && strings.TrimSuffix(base, path.Ext(base)) == name || class != "" && strings.HasSuffix(match[1], class)
}
