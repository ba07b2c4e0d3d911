package compare

import (
	"strings"
	"testing"
)

// Patterns select benchmarks as go test -bench does, but may omit "Benchmark".
func TestBenchmarksAreSelectedAsByGoTest(t *testing.T) {
	for name, tc := range map[string]struct{ pattern, function, want string }{
		"all":                       {".", "BenchmarkSum", "^BenchmarkSum$"},
		"short":                     {"^Sum$", "BenchmarkSum", "^BenchmarkSum$"},
		"whole name":                {"BenchmarkSum", "BenchmarkSum", "^BenchmarkSum$"},
		"another":                   {"Total", "BenchmarkSum", ""},
		"parts":                     {"Sum/large/[a/]", "BenchmarkSum", "^BenchmarkSum$/large/[a/]"},
		"alternatives":              {"Sum/large|Sum/x|Other", "BenchmarkSum", "^BenchmarkSum$/large|^BenchmarkSum$/x"},
		"alternatives in parens":    {"(Sum|Total)/(a|b)", "BenchmarkTotal", "^BenchmarkTotal$/(a|b)"},
		"one alternative takes all": {"Sum/large|Sum", "BenchmarkSum", "^BenchmarkSum$"},
		"an escaped slash":          {`Sum/a\/b`, "BenchmarkSum", `^BenchmarkSum$/a\/b`},
	} {
		selected, err := selections(tc.pattern)
		if got := match(selected, tc.function); err != nil || got != tc.want {
			t.Errorf("%s: %q selects %q, error %v; want %q", name, tc.pattern, got, err, tc.want)
		}
	}
	for _, bad := range []string{"(", "Sum/(", "Sum|["} {
		if _, err := selections(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if !skips("Sum$", "BenchmarkSum") || skips("Sum/part", "BenchmarkSum") || skips("", "BenchmarkSum") {
		t.Error("what -skip leaves out as a whole")
	}
}

func TestTheTopFunctionsOfAProfileAreTaken(t *testing.T) {
	out := "File: x.test\nType: cpu\nDuration: 2s\nShowing nodes accounting for 0.5s, 50% of 1s total\n      flat  flat%   sum%        cum   cum%\n     0.50s 50.00% 50.00%      0.50s 50.00%  example.org/mod.hot\n"
	if got := topFunctions("mod.Sum", out, 100, "kept"); !strings.Contains(got, "example.org/mod.hot") || !strings.Contains(got, "100 operations") || !strings.Contains(got, "are in kept") || strings.Contains(got, "Duration") {
		t.Errorf("%s", got)
	}
	if got := topFunctions("mod.Sum", "nothing", 1, ""); !strings.Contains(got, "no profile") {
		t.Errorf("%s", got)
	}
}
