package ingest

import (
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// failurePlaces are the forms in which runners write the file and line of a failure into
// its text. The last match counts where last is set: there the text ends with the
// place of the failure, and the callers stand before.
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

// foreign are files that are not the project's own.
var foreign = regexp.MustCompile(`(^|/)(node_modules|site-packages|dist-packages|vendor/bundle|gems|internal/process)/|^node:|^<`)

// failedAt finds the file and line of a failure in its text, by the forms that runners
// document. A place in the file of the test, or in the frame of its class, goes first.
// Where the text names none, the place of the test itself stays.
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
			file = s.File // the text has the name alone
		}
		s.File, s.Line = file, line
		return
	}
}

// isOwn reports whether a match is of the file of the test, or of its class.
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
