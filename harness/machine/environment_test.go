package machine

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/shirou/gopsutil/v4/cpu"
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

// Masked names are completed by the numbers of CPUID; names with a number are kept.
func TestMaskedProcessorsAreToldApart(t *testing.T) {
	for _, tc := range []struct {
		info cpu.InfoStat
		want string
	}{
		{cpu.InfoStat{ModelName: "AMD EPYC", Family: "25", Model: "1", Stepping: 1}, "AMD EPYC family 25 model 1 stepping 1"},
		{cpu.InfoStat{ModelName: "Intel(R) Xeon(R) Processor @ 2.60GHz", Family: "6", Model: "143", Stepping: 8}, "Intel(R) Xeon(R) Processor family 6 model 143 stepping 8"},
		{cpu.InfoStat{ModelName: "AMD EPYC 7B13", Family: "25", Model: "1"}, "AMD EPYC 7B13"},
		{cpu.InfoStat{ModelName: "Apple M4"}, "Apple M4"},
		{cpu.InfoStat{ModelName: "Masked"}, "Masked"}, // the system does not give the numbers
	} {
		if got := unmasked(tc.info); got != tc.want {
			t.Errorf("%+v: %q, want %q", tc.info, got, tc.want)
		}
	}
}

// A test program has no list of its modules, and limits are bound to the version of SQLite.
func TestATestProgramKnowsItsSQLite(t *testing.T) {
	if got := Describe(t.Context(), t.TempDir()).SQLite; !strings.HasPrefix(got, "modernc.org/sqlite v") {
		t.Errorf("SQLite is %q", got)
	}
}
