package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/google/go-cmp/cmp"
)

// Whatever a file holds, it is refused with a typed error or read into results that
// are sound and the same each time. Run one with
//
//	go test ./reports -run '^$' -fuzz '^FuzzReadJUnit$' -fuzztime 60s -fuzzminimizetime 20x
func fuzzRead(f *testing.F, format string, seeds ...string) {
	of := formats[slices.IndexFunc(formats, func(f Format) bool { return f.Name == format })]
	for name, sample := range sampleFiles {
		if sample.format == format && !strings.HasPrefix(name, "gomega") && !strings.HasPrefix(name, "perf") {
			f.Add(testFile(f, name))
		}
	}
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		read := func() (*Reading, error) {
			in, err := unpack(bytes.NewReader(data))
			if err != nil {
				return nil, err
			}
			r := &Reading{Format: format, Results: &reports.Results{}}
			if err := of.read(in, newCollector(r, "/src")); err != nil {
				return nil, err
			}
			return r, nil
		}
		var r *Reading
		var err error
		bounded(t, len(data), func() { r, err = read() })
		if err != nil {
			var refused *FormatError
			if !errors.As(err, &refused) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		again, err := read()
		if err != nil {
			t.Fatalf("the second time: %v", err)
		}
		if diff := cmp.Diff(r, again); diff != "" {
			t.Fatalf("the second time: %s", diff)
		}
		sound(t, r)
	})
}

// Bounds on the work for one text: what the buffers take, and for each byte of it. A minute
// is far beyond what any text of a fuzz target takes; one that takes it is exponential.
const (
	fixedWork   = 32 << 20 // bytes allocated
	workPerByte = 8 << 10
	longestWork = time.Minute
)

// bounded runs a function and fails where it does more work than a text of n bytes is worth.
func bounded(t *testing.T, n int, read func()) {
	t.Helper()
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before, began := sample[0].Value.Uint64(), time.Now()
	read()
	took := time.Since(began)
	metrics.Read(sample)
	if work := sample[0].Value.Uint64() - before; work > fixedWork+workPerByte*uint64(n) || took > longestWork {
		t.Fatalf("a text of %d bytes took %d bytes of memory and %v", n, work, took)
	}
}

// sound looks for what no reading may have.
func sound(t *testing.T, r *Reading) {
	t.Helper()
	keys := map[string]bool{}
	for i := range r.Results.Specs {
		s := &r.Results.Specs[i]
		if id := s.Key(); keys[id] {
			t.Fatalf("two specs are %s", id)
		} else {
			keys[id] = true
		}
		switch {
		case s.State != reports.Passed && s.State != reports.Failed && s.State != reports.Skipped && s.State != reports.Pending,
			s.State == reports.Passed && s.Attempts < 1, s.Retried && (s.State != reports.Passed || s.Attempts < 2),
			s.Attempts < 0, s.Duration < 0, s.Occurrence < 1, s.Line < 0, len(s.Message) > reports.MaxMessage+100:
			t.Fatalf("%+v", *s)
		}
		for _, a := range s.Attachments {
			if a != a.Safe() || a.Name == "" || len(s.Attachments) > reports.MaxAttachments {
				t.Fatalf("%+v", s.Attachments)
			}
		}
	}
	for _, s := range r.Results.Suites {
		if s.Duration < 0 {
			t.Fatalf("%+v", s)
		}
	}
	if r.Took < 0 {
		t.Fatalf("it took %v", r.Took)
	}
}

func FuzzReadGinkgo(f *testing.F) {
	fuzzRead(f, reports.FormatGinkgo, "["+suite(true, 1, "", node("It", "x", "passed", ""))+"]",
		"["+suite(false, 9, `,"SpecialSuiteFailureReasons":["late"]`, node("It", "x", "failed", ""), node("BeforeSuite", "", "panicked", ""))+"]")
}

func FuzzReadJUnit(f *testing.F) {
	fuzzRead(f, formatJUnit, cased(` tests="1" time="1,000.5"`, `<testcase name="[It] a&#x1b; [b]" classname="s"><skipped/></testcase>`),
		`<testsuites><testsuite><properties><property name="go.version"/></properties><testcase name="A/b"/><testcase name="A"><failure/></testcase></testsuite></testsuites>`,
		`<testsuite><properties><property name="SuiteSucceeded" value="false"/></properties><testcase name="[BeforeSuite]"><error message="m"/></testcase></testsuite>`)
}

func FuzzReadGoTest(f *testing.F) {
	fuzzRead(f, reports.FormatGoTest, `{"Action":"run","Package":"p","Test":"A/b/c"}`+"\n"+`{"Action":"fail","Package":"p","FailedBuild":"x"}`)
}

func FuzzReadCTRF(f *testing.F) { fuzzRead(f, formatCTRF, `{"results":{"tests":[]}}`) }

func FuzzReadTRX(f *testing.F) {
	fuzzRead(f, formatTRX, string(testFile(f, "dotnet/shop.trx")), fmt.Sprintf(trxOne, "Passed"))
}

func FuzzReadNUnit(f *testing.F) {
	fuzzRead(f, formatNUnit, string(testFile(f, "dotnet/shop-nunit3.xml")), string(testFile(f, "dotnet/shop-nunit2.xml")), fmt.Sprintf(nunitOne, "Passed"))
}

func FuzzReadXUnit(f *testing.F) {
	fuzzRead(f, formatXUnit, string(testFile(f, "dotnet/shop-xunit2.xml")), fmt.Sprintf(xunitOne, "Pass"))
}

func FuzzReadBenchmarks(f *testing.F) {
	fuzzRead(f, formatBenchmarks, string(testFile(f, "shop-bench.txt")), "Unit ns/op assume=exact\nBenchmarkA 1 2 ns/op\n")
}

// FuzzRead tells the format itself, and undoes any packing.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"shop-pytest.xml", "shop-ctrf.json", "shop-gotest.jsonl", "shop-bench.txt", "dotnet/shop.trx", "dotnet/shop-nunit3.xml", "dotnet/shop-xunit2.xml"} {
		f.Add(testFile(f, name))
		f.Add(packed(string(testFile(f, name))))
	}
	f.Add([]byte("\xff\xfe<\x00a\x00>\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r *Reading
		var err error
		bounded(t, len(data), func() { r, err = Read(bytes.NewReader(data), filepath.FromSlash("/src")) })
		var refused *FormatError
		switch {
		case err != nil && !errors.As(err, &refused):
			t.Fatalf("%T: %v", err, err)
		case err == nil && r.Results.Empty() && len(r.Benchmarks) == 0:
			t.Fatal("0 tests")
		case err == nil:
			sound(t, r)
		}
	})
}
