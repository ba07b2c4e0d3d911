package records

import (
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports"
)

func TestOnlyAllPartsOfOneRunFit(t *testing.T) {
	file := func(shard, commit string, runs int, suites ...string) PartFile {
		return PartFile{Commit: commit, Suites: &Part{Shard: shard, Suites: suites, Runs: make([]*reports.Results, runs)}}
	}
	good := file("1/2", "abc", 1, "a", "b")
	for _, test := range []struct {
		other PartFile
		want  string
	}{
		{file("2/2", "abc", 1, "a", "b"), ""},
		{good, "both part 1/2: name each once"},
		{file("2/3", "abc", 1, "a", "b"), "y is part 2/3, and the number of parts here is 2"},
		{file("2/2", "def", 1, "a", "b"), "run the parts of one commit"},
		{file("2/2", "abc", 1, "a"), "different lists of suites"},
		{file("2/2", "abc", 2, "a", "b"), "with the same --runs"},
		{file("2-2", "abc", 1, "a", "b"), `shard "2-2": use I/N`},
		{PartFile{Commit: "abc", Suites: &Part{Shard: "2/2", Suites: []string{"a", "b"}, Runs: make([]*reports.Results, 1), Interrupted: true}}, "y was interrupted: run that part again"},
	} {
		err := FitParts([]string{"x", "y"}, []PartFile{good, test.other})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: %v, want %q", test.other.Suites, err, test.want)
		}
	}
}
