package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports"
)

func TestEverySuiteIsInOneShard(t *testing.T) {
	for n := 1; n <= 5; n++ {
		for place := range 7 {
			in := 0
			for i := 1; i <= n; i++ {
				var s share
				if err := s.Set(fmt.Sprintf("%d/%d", i, n)); err != nil {
					t.Fatal(err)
				}
				if s.has(place) {
					in++
				}
			}
			if in != 1 {
				t.Errorf("suite %d is in %d of %d shards", place, in, n)
			}
		}
	}
	for _, bad := range []string{"", "1", "0/2", "3/2", "1/0", "-1/2", "a/b", "1/2/3", "1 /2"} {
		if err := new(share).Set(bad); err == nil {
			t.Errorf("--shard %q is taken", bad)
		}
	}
	if !new(share).has(3) {
		t.Error("without --shard a suite is left out")
	}
}

func TestOnlyAllPartsOfOneRunFit(t *testing.T) {
	file := func(shard, commit string, runs int, suites ...string) partFile {
		return partFile{Commit: commit, Suites: &part{Shard: shard, Suites: suites, Runs: make([]*reports.Results, runs)}}
	}
	good := file("1/2", "abc", 1, "a", "b")
	for _, test := range []struct {
		other partFile
		want  string
	}{
		{file("2/2", "abc", 1, "a", "b"), ""},
		{good, "both part 1/2: name each once"},
		{file("2/3", "abc", 1, "a", "b"), "y is part 2/3, and there are 2 files"},
		{file("2/2", "def", 1, "a", "b"), "run the parts of one commit"},
		{file("2/2", "abc", 1, "a"), "different lists of suites"},
		{file("2/2", "abc", 2, "a", "b"), "with the same --runs"},
		{file("2-2", "abc", 1, "a", "b"), `shard "2-2": use I/N`},
	} {
		err := fit([]string{"x", "y"}, []partFile{good, test.other})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: %v, want %q", test.other.Suites, err, test.want)
		}
	}
}
