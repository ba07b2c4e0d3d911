package ingest

import (
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// Format is a format of result files. The errors of [Read], the help of the command, its search of
// folders, the fuzz experiment and the README are derived from [Formats] or tested against it.
type Format struct {
	Name       string   // as in [Reading.Format]
	Writers    string   // programs that write it, for users
	Extensions []string // extensions of such files, in lower case, without .gz
	Fuzz       string   // fuzz target of the reader

	sniff func(head) bool // reports whether a nonempty file with this beginning has the format
	read  func(*input, *collector) error
}

// Names of formats. Those in which a single spec can be run again are in package reports.
const (
	formatJUnit      = "JUnit XML"
	formatTRX        = "TRX"
	formatNUnit      = "NUnit XML"
	formatXUnit      = "xUnit.net XML"
	formatCTRF       = "CTRF JSON"
	formatBenchmarks = reports.FormatBenchmarks
)

// formats is sorted by precedence: the first format that matches is used.
var formats = []Format{
	{
		Name: reports.FormatGinkgo, Writers: "ginkgo --json-report", Extensions: []string{".json"}, Fuzz: "FuzzReadGinkgo",
		sniff: func(h head) bool { return h.starts('[') }, read: readGinkgo,
	}, {
		Name: formatTRX, Writers: "dotnet test --logger trx, Visual Studio", Extensions: []string{".trx", ".xml"}, Fuzz: "FuzzReadTRX",
		sniff: func(h head) bool { return h.xml(trxRoot) }, read: readTRX,
	}, {
		Name: formatNUnit, Writers: "NUnit 3, NUnit 2.5, Unity", Extensions: []string{".xml"}, Fuzz: "FuzzReadNUnit",
		sniff: func(h head) bool { return h.xml(nunitRoots...) }, read: readNUnit,
	}, {
		Name: formatXUnit, Writers: "xUnit.net, Fixie", Extensions: []string{".xml"}, Fuzz: "FuzzReadXUnit",
		sniff: func(h head) bool { return h.xml(xunitRoots...) }, read: readXUnit,
	}, {
		Name: formatJUnit, Writers: "surefire, Gradle, gotestsum, pytest, jest, Ginkgo and many more", Extensions: []string{".xml"}, Fuzz: "FuzzReadJUnit",
		sniff: func(h head) bool { return h.starts('<') }, read: readJUnit, // its errors advise on other XML files
	}, {
		Name: formatCTRF, Writers: "reporters of ctrf.io", Extensions: []string{".json"}, Fuzz: "FuzzReadCTRF",
		sniff: func(h head) bool {
			first := h.first("Action", "results", "reportFormat")
			return first != "" && first != "Action"
		}, read: readCTRF,
	}, {
		Name: reports.FormatGoTest, Writers: "go test -json, also with lines of other programs", Extensions: []string{".json", ".jsonl", ".ndjson"}, Fuzz: "FuzzReadGoTest",
		sniff: func(h head) bool {
			return h.first("Action") != "" || h.line(goTestLine, benchmarkLine) || h.line(goBuildLine, goTestText)
		}, read: readGoTest,
	}, {
		Name: formatBenchmarks, Writers: "go test -bench, flujo-harness bench --benchfmt", Fuzz: "FuzzReadBenchmarks",
		sniff: func(h head) bool { return h.line(benchmarkLine, goTestLine) }, read: readBenchmarks,
	},
}

// Formats returns the formats that [Read] knows.
func Formats() []Format { return slices.Clone(formats) }

// Extensions returns the distinct extensions of all formats, in the order of the table.
func Extensions() []string {
	var all []string
	for _, f := range formats {
		for _, ext := range f.Extensions {
			if !slices.Contains(all, ext) {
				all = append(all, ext)
			}
		}
	}
	return all
}

// formatNames returns the names of all formats: "A, B and C".
func formatNames() string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.Name
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
