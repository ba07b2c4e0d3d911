package machine

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

func TestClassNamesTheProcessor(t *testing.T) {
	machine := fmt.Sprintf("%s-%s-%dcpu-", runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	for cpu, want := range map[string]string{
		"AMD EPYC":                   "amd-epyc",
		"Intel(R) Xeon(R) Processor": "intel-xeon",
		"Intel(R) Xeon(R) CPU E5-2673 v4 @ 2.30GHz ": "intel-xeon-e5-2673-v4-2-30ghz",
		"../../etc/passwd":                           "etc-passwd",
		"unknown":                                    "unknown",
	} {
		if got := class(cpu); got != machine+want {
			t.Errorf("%q: class %q, want %q", cpu, got, machine+want)
		}
	}
	if got := Describe(t.Context(), t.TempDir()).Class; got != Class() {
		t.Errorf("described as %q, and the class is %q", got, Class())
	}
}

// A test program has no list of its modules, and limits are bound to the version of SQLite.
func TestATestProgramKnowsItsSQLite(t *testing.T) {
	if got := Describe(t.Context(), t.TempDir()).SQLite; !strings.HasPrefix(got, "modernc.org/sqlite v") {
		t.Errorf("SQLite is %q", got)
	}
}
