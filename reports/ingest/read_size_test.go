package ingest

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/reports"
)

var ingestMiB = flag.Int("ingest-mib", 0, "size of the generated files of TestReadBigFiles, in MiB (0: skipped)")

// bigFile generates a file of results: a head, specs, a tail. Every hundredth spec
// fails; every spec says text.
type bigFile struct {
	head, tail string
	spec       func(i int, text string) string
}

var bigFiles = map[string]bigFile{
	reports.FormatGinkgo: {`[{"SuitePath":"/m/big","SuiteDescription":"Big","SuiteSucceeded":false,"PreRunStats":{"TotalSpecs":0},"SpecReports":[`, `]}]`,
		func(i int, text string) string {
			comma, state, failure := ",", "passed", ""
			if i == 0 {
				comma = ""
			}
			if i%100 == 0 {
				state, failure = "failed", `,"Failure":{"Message":"expected 4 to equal 5","Location":{"FileName":"/m/big/a_test.go","LineNumber":9}}`
			}
			return fmt.Sprintf(`%s{"ContainerHierarchyTexts":["a container","another"],"ContainerHierarchyLocations":[{"FileName":"/m/big/a_test.go","LineNumber":7}],"ContainerHierarchyLabels":[[],[]],"LeafNodeType":"It","LeafNodeLocation":{"FileName":"/m/big/a_test.go","LineNumber":%d},"LeafNodeLabels":["slow"],"LeafNodeText":"spec %d","State":%q,"StartTime":"2026-11-23T11:08:26.789Z","EndTime":"2026-11-23T11:08:26.79Z","RunTime":227789,"ParallelProcess":1,"NumAttempts":1%s,"CapturedGinkgoWriterOutput":%q}`,
				comma, i, i, state, failure, text)
		}},
	formatJUnit: {`<?xml version="1.0" encoding="UTF-8"?><testsuites><testsuite name="big">`, `</testsuite></testsuites>`,
		func(i int, text string) string {
			failure := ""
			if i%100 == 0 {
				failure = `<failure message="expected 4 to equal 5" type="failed">at a_test.go:9</failure>`
			}
			return fmt.Sprintf("<testcase name=\"spec %d\" classname=\"a.container\" time=\"0.000227\">\n  %s<system-out>%s</system-out>\n</testcase>\n", i, failure, text)
		}},
	reports.FormatGoTest: {`{"Action":"start","Package":"example.com/big"}` + "\n", `{"Action":"fail","Package":"example.com/big","Elapsed":3}` + "\n",
		func(i int, text string) string {
			end := "pass"
			if i%100 == 0 {
				end = "fail"
			}
			event := func(action, more string) string {
				return fmt.Sprintf(`{"Time":"2026-11-23T11:13:38.259852521Z","Action":%q,"Package":"example.com/big","Test":"TestBig/spec_%d"%s}`+"\n", action, i, more)
			}
			output := ""
			for len(text) > 0 {
				n := min(len(text), 2000)
				output, text = output+event("output", fmt.Sprintf(`,"Output":%q`, text[:n]+"\n")), text[n:]
			}
			return event("run", "") + output + event(end, `,"Elapsed":0.01`)
		}},
	formatCTRF: {`{"results":{"tool":{"name":"jest"},"tests":[`, `]}}`,
		func(i int, text string) string {
			comma, status := ",", "passed"
			if i == 0 {
				comma = ""
			}
			if i%100 == 0 {
				status = "failed"
			}
			return fmt.Sprintf(`%s{"name":"spec %d","status":%q,"duration":12.5,"suite":["a.test.js","a container"],"tags":["slow"],"stdout":[%q]}`, comma, i, status, text)
		}},
}

// generated is such a file as a stream, which looks at the memory in use while it is read.
type generated struct {
	file  bigFile
	specs int
	text  string
	every int // bytes between two looks
	i     int
	rest  string
	n     int
	peak  uint64
	look  func() uint64
}

func (g *generated) Read(p []byte) (int, error) {
	for len(g.rest) == 0 {
		switch {
		case g.i == 0:
			g.rest = g.file.head
			fallthrough
		case g.i < g.specs:
			g.rest += g.file.spec(g.i, g.text)
		case g.i == g.specs:
			g.rest = g.file.tail
		default:
			return 0, io.EOF
		}
		g.i++
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	if before := g.n / g.every; (g.n+n)/g.every > before {
		g.peak = max(g.peak, g.look())
	}
	g.n += n
	return n, nil
}

// live is the memory that is in use after everything else was given back.
func live() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// taken is the memory that the program has from the system.
func taken() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys - m.HeapReleased
}

// What the specs say makes a file longer, and must not make reading it dearer.
func TestReadingDoesNotKeepWhatItReads(t *testing.T) {
	for format, file := range bigFiles {
		peak := func(text int) uint64 {
			g := &generated{file: file, specs: 200, text: strings.Repeat("what a test prints ", text/19), every: 1 << 20, look: live}
			before := live()
			if _, err := Read(g, "/m"); err != nil {
				t.Fatalf("%s: %v", format, err)
			}
			return g.peak - min(before, g.peak)
		}
		if small, big := peak(10<<10), peak(80<<10); big > small+1<<20 {
			t.Errorf("%s: %d KiB in use for 2 MiB, %d KiB for 16 MiB", format, small>>10, big>>10)
		}
	}
}

// One value that never ends is not read before it fills the memory.
func TestReadRefusesAValueWithoutEnd(t *testing.T) {
	for format, file := range bigFiles {
		g := &generated{file: bigFile{spec: func(i int, _ string) string {
			if i == 0 {
				spec := file.spec(0, "no end")
				return file.head + spec[:strings.LastIndex(spec, "no end")]
			}
			return strings.Repeat("no end ", 10_000)
		}}, specs: 2 << 10, every: 4 << 20, look: live}
		before := live()
		// go test's output is read by line: the line is passed over, and its test is lost.
		if r, err := Read(g, "/m"); err == nil && (format != reports.FormatGoTest || r.Results.Green()) {
			t.Errorf("%s: it was read", format)
		}
		if used := g.peak - min(before, g.peak); used > 3*maxValue {
			t.Errorf("%s: %d MiB in use", format, used>>20)
		}
	}
}

// What a suite says beside its specs is kept until its end, whatever it is called.
func TestReadRefusesASuiteThatSaysTooMuch(t *testing.T) {
	member := func(i int, text string) string { return fmt.Sprintf(`,"more-%d":%q`, i, text) }
	g := &generated{file: bigFile{head: `[{"SuitePath":"/m/big"`, tail: `}]`, spec: member}, specs: maxValue>>20 + 8, text: strings.Repeat("x", 1<<20), every: 1 << 30, look: live}
	if _, err := Read(g, "/m"); !errors.Is(err, ErrTooBig) {
		t.Errorf("err = %v, want ErrTooBig", err)
	}
}

// Run with -ingest-mib 64 -v: the target is at most 5 s and 512 MiB for each format.
func TestReadBigFiles(t *testing.T) {
	if *ingestMiB == 0 {
		t.Skip("-ingest-mib was not given")
	}
	for format, file := range bigFiles {
		for _, text := range []int{0, 1 << 10, 100 << 10} {
			one := len(file.spec(1, strings.Repeat("x", text)))
			g := &generated{file: file, specs: *ingestMiB << 20 / one, text: strings.Repeat("what a test prints ", text/19), every: 1 << 20, look: taken}
			debug.FreeOSMemory()
			began := time.Now()
			r, err := Read(g, "/m")
			if err != nil {
				t.Errorf("%s: %v", format, err)
				continue
			}
			t.Logf("%-14s %3d MiB, %7d specs, %6d bytes each: %5.2f s, at most %d MiB", format, g.n>>20, len(r.Results.Specs), one, time.Since(began).Seconds(), g.peak>>20)
		}
	}
}
