package main

import (
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/harness/child"
	"github.com/flujo/flujo-harness/reports"
)

// choosing lists the flags of Ginkgo and go test that exclude tests of a package.
var choosing = []string{"run", "skip", "focus", "label-filter", "focus-file", "skip-file", "sem-ver-filter"}

// selection describes which tests a run selects.
func (j job) selection() reports.Selection {
	s := reports.Selection{Filtered: slices.ContainsFunc(j.flags, chooses) || j.choice.failed}
	some := j.choice.selected.Only != nil
	s.Partial = s.Filtered || some || j.share.N > 1 || !slices.Equal(j.packages, []string{"./..."}) || slices.ContainsFunc(j.flags, func(f string) bool { return flagName(f) == "skip-package" })
	if s.Partial {
		words := slices.Clone(j.packages)
		if j.choice.failed {
			words = append(words, "--failed")
		}
		if some && j.choice.since != "" {
			words = append(words, "--since="+j.choice.since)
		}
		if j.share.N > 1 {
			words = append(words, "--shard="+j.share.String())
		}
		s.Asked = child.ShellLine(append(words, j.flags...)...)
	}
	return s
}

func chooses(flag string) bool { return slices.Contains(choosing, flagName(flag)) }

// flagName returns the name of a flag such as "--ginkgo.focus=x", or "" for other words.
func flagName(word string) string {
	name, ok := strings.CutPrefix(word, "-")
	if !ok {
		return ""
	}
	name, _, _ = strings.Cut(strings.TrimPrefix(name, "-"), "=")
	return strings.TrimPrefix(strings.TrimPrefix(name, "test."), "ginkgo.")
}
