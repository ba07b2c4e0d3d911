package ingest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/flujo/flujo-harness/reports"
	gocmp "github.com/google/go-cmp/cmp"
)

// variantSample is a file that can be read.
type variantSample struct {
	name    string
	data    []byte
	reading *Reading
}

// variantSamples returns all readable files in testdata, uncompressed. Files of more than most bytes
// are skipped, because each file is read many times.
func variantSamples(t *testing.T, most int) (all []variantSample) {
	t.Helper()
	err := filepath.WalkDir("testdata", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && d.Name() == "fuzz" {
				return fs.SkipDir
			}
			return err
		}
		data := testFile(t, strings.TrimPrefix(filepath.ToSlash(name), "testdata/"))
		if len(data) > most {
			return nil
		}
		if r, err := Read(bytes.NewReader(data), ""); err == nil {
			all = append(all, variantSample{filepath.ToSlash(name), data, r})
		}
		return nil
	})
	if err != nil || len(all) < 50 {
		t.Fatalf("%d samples, %v", len(all), err)
	}
	return all
}

// red reports whether a test or a suite failed.
func red(r *Reading) bool { return !r.Results.Empty() && !r.Results.Green() }

func utf16Of(text []byte, order binary.AppendByteOrder) []byte {
	out := order.AppendUint16(nil, 0xfeff)
	for _, unit := range utf16.Encode([]rune(string(text))) {
		out = order.AppendUint16(out, unit)
	}
	return out
}

// The results do not depend on the encoding, the line endings or the compression of a file.
func TestEncodingsChangeNothing(t *testing.T) {
	for _, sample := range variantSamples(t, 256<<10) {
		want := outline(sample.reading)
		text := bytes.TrimPrefix(sample.data, []byte("\xef\xbb\xbf"))
		lines := bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
		variants := map[string][]byte{
			"UTF-8 with a mark": append([]byte("\xef\xbb\xbf"), text...), "CRLF": lines, "gzip": packed(string(text)),
			"CRLF in UTF-16, packed": packed(string(utf16Of(lines, binary.LittleEndian))),
		}
		if utf8.Valid(text) {
			variants["UTF-16, little-endian"], variants["UTF-16, big-endian"] = utf16Of(text, binary.LittleEndian), utf16Of(text, binary.BigEndian)
		} else {
			delete(variants, "CRLF in UTF-16, packed")
		}
		for name, data := range variants {
			r, err := Read(bytes.NewReader(data), "")
			if err != nil {
				t.Errorf("%s in %s: %v", sample.name, name, err)
				continue
			}
			got := outline(r)
			if strings.Contains(name, "CRLF") { // messages have other line endings
				clean := func(all []string) (out []string) {
					for _, s := range all {
						out = append(out, strings.ReplaceAll(s, "\r", ""))
					}
					return out
				}
				want, got := clean(want), clean(got)
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Errorf("%s in %s: %s", sample.name, name, diff)
				}
				continue
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("%s in %s: %s", sample.name, name, diff)
			}
		}
	}
}

// cuts returns positions at which to truncate a text: up to 60 random ones, and the last 30.
func cuts(text []byte, random *rand.Rand) []int {
	n := len(text)
	most := 60
	if n > 100<<10 {
		most = 6
	}
	var at []int
	for range most {
		at = append(at, random.IntN(n))
	}
	for i := max(0, n-most/2); i < n; i++ {
		at = append(at, i)
	}
	return at
}

// A truncated file is never green if the whole file is red. Streams of go test that end after the
// result of a package are an exception: nothing shows that more packages would follow.
func TestCutFilesAreNeverGreen(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	tried := 0
	for _, sample := range variantSamples(t, 256<<10) {
		if !red(sample.reading) {
			continue
		}
		for i, at := range cuts(sample.data, random) {
			parts := map[string][]byte{"": sample.data[:at]}
			if i%8 == 0 {
				parts["packed, "] = packed(string(sample.data[:at]))
			}
			for name, part := range parts {
				tried++
				r, err := Read(bytes.NewReader(part), "")
				if err != nil || !r.Results.Green() {
					continue
				}
				if r.Format == reports.FormatGoTest && endsWithPackage(sample.data[:at]) {
					continue
				}
				t.Errorf("%s, %scut at byte %d of %d: green", sample.name, name, at, len(sample.data))
			}
		}
		whole := packed(string(sample.data))
		for _, at := range []int{3, len(whole) / 2, len(whole) - 9, len(whole) - 1} {
			if r, err := Read(bytes.NewReader(whole[:at]), ""); err == nil {
				t.Errorf("%s, packed and cut at byte %d: read as %+v", sample.name, at, r.Results.Counts())
			}
		}
	}
	if tried < 1000 {
		t.Errorf("only %d variants", tried)
	}
}

// endsWithPackage reports whether a stream of go test ends with the result of a package, as
// an event or in the output of go test.
func endsWithPackage(text []byte) bool {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	var e goEvent
	err := json.Unmarshal(lines[len(lines)-1], &e)
	return err == nil && e.Test == "" && (strings.HasPrefix(e.Output, "ok  \t") || e.Action == "pass" || e.Action == "skip" || e.Action == "fail")
}

// A file with two documents is refused, or it is red if one of them is.
func TestTwoDocumentsInOneFile(t *testing.T) {
	samples := variantSamples(t, 64<<10)
	random := rand.New(rand.NewPCG(5, 6))
	for i, a := range samples {
		others := []variantSample{a, samples[(i+1)%len(samples)]}
		for range 12 {
			others = append(others, samples[random.IntN(len(samples))])
		}
		for _, b := range others {
			for _, between := range []string{"", "\n"} {
				r, err := Read(bytes.NewReader(slices.Concat(a.data, []byte(between), b.data)), "")
				if err != nil {
					continue
				}
				if (red(a.reading) || red(b.reading)) && !red(r) {
					t.Errorf("%s and then %s: %+v, notes %q", a.name, b.name, r.Results.Counts(), r.Notes)
				}
			}
		}
	}
}

// Streams of go test that were written to one file at the same time are red if one of them is.
func TestInterleavedStreams(t *testing.T) {
	var streams []variantSample
	for _, s := range variantSamples(t, 64<<10) {
		if s.reading.Format == reports.FormatGoTest {
			streams = append(streams, s)
		}
	}
	random := rand.New(rand.NewPCG(7, 8))
	for _, a := range streams {
		for _, b := range streams {
			left, right := bytes.SplitAfter(a.data, []byte("\n")), bytes.SplitAfter(b.data, []byte("\n"))
			var all []byte
			for len(left)+len(right) > 0 {
				from := &left
				if len(left) == 0 || len(right) > 0 && random.IntN(2) == 0 {
					from = &right
				}
				all, *from = append(all, (*from)[0]...), (*from)[1:]
			}
			r, err := Read(bytes.NewReader(all), "")
			if err == nil && (red(a.reading) || red(b.reading)) && !red(r) {
				t.Errorf("%s and %s interleaved: %+v", a.name, b.name, r.Results.Counts())
			}
		}
	}
}

// repeats contains, for each format, a file with a passed test and, at %s, several results of another
// test, and the forms of such a result: F failed, P passed, S skipped.
var repeats = map[string]struct {
	file  string
	forms map[string]string
}{
	"JUnit": {`<testsuites><testsuite name="s">%s<testcase name="b"/></testsuite></testsuites>`,
		map[string]string{"F": `<testcase name="a"><failure/></testcase>`, "P": `<testcase name="a"/>`, "S": `<testcase name="a"><skipped/></testcase>`}},
	"JUnit in suites": {`<testsuites>%s<testsuite name="s"><testcase name="b"/></testsuite></testsuites>`,
		map[string]string{"F": `<testsuite name="s"><testcase name="a"><failure/></testcase></testsuite>`, "P": `<testsuite name="s"><testcase name="a"/></testsuite>`, "S": `<testsuite name="s"><testcase name="a"><skipped/></testcase></testsuite>`}},
	"go-junit-report": {`<testsuites><testsuite name="p" id="0"><properties><property name="go.version" value="1"/></properties>%s<testcase name="TestB" classname="p"/></testsuite></testsuites>`,
		map[string]string{"F": `<testcase name="TestA" classname="p"><failure message="Failed"/></testcase>`, "P": `<testcase name="TestA" classname="p"/>`, "S": `<testcase name="TestA" classname="p"><skipped/></testcase>`}},
	"CTRF": {`{"results":{"tests":[%s{"name":"b","status":"passed"}]}}`,
		map[string]string{"F": `{"name":"a","status":"failed"},`, "P": `{"name":"a","status":"passed"},`, "S": `{"name":"a","status":"skipped"},`}},
	"Ginkgo": {`[{"SuitePath":"/a","SuiteSucceeded":false,"SpecReports":[%s{"LeafNodeType":"It","LeafNodeText":"b","State":"passed"}]}]`,
		map[string]string{"F": `{"LeafNodeType":"It","LeafNodeText":"a","State":"failed"},`, "P": `{"LeafNodeType":"It","LeafNodeText":"a","State":"passed"},`, "S": `{"LeafNodeType":"It","LeafNodeText":"a","State":"skipped"},`}},
	"go test -json, repeats": {`{"Action":"pass","Package":"p","Test":"TestB"}` + "\n%s" + `{"Action":"fail","Package":"p"}`,
		map[string]string{"F": goRun("fail"), "P": goRun("pass"), "S": goRun("skip")}},
	"go test -json, packages": {`%s{"Action":"output","Package":"q","Output":"PASS\n"}` + "\n" + `{"Action":"pass","Package":"q"}`,
		map[string]string{"F": goRun("fail") + `{"Action":"fail","Package":"p"}` + "\n", "P": goRun("pass") + `{"Action":"pass","Package":"p"}` + "\n", "S": goRun("skip") + `{"Action":"pass","Package":"p"}` + "\n"}},
	"TRX": {`<TestRun><Results>%s<UnitTestResult testName="b" outcome="Passed"/></Results></TestRun>`,
		map[string]string{"F": `<UnitTestResult testName="a" outcome="Failed"/>`, "P": `<UnitTestResult testName="a" outcome="Passed"/>`, "S": `<UnitTestResult testName="a" outcome="NotExecuted"/>`}},
	"NUnit": {`<test-run><test-suite type="Assembly" name="s">%s<test-case name="b" result="Passed"/></test-suite></test-run>`,
		map[string]string{"F": `<test-case name="a" result="Failed"/>`, "P": `<test-case name="a" result="Passed"/>`, "S": `<test-case name="a" result="Skipped"/>`}},
	"xUnit": {`<assemblies><assembly name="s">%s<collection><test name="b" result="Pass"/></collection></assembly></assemblies>`,
		map[string]string{"F": `<collection><test name="a" result="Fail"/></collection>`, "P": `<collection><test name="a" result="Pass"/></collection>`, "S": `<collection><test name="a" result="Skip"/></collection>`}},
}

func goRun(end string) string {
	return `{"Action":"run","Package":"p","Test":"TestA"}` + "\n" + fmt.Sprintf(`{"Action":%q,"Package":"p","Test":"TestA"}`, end) + "\n"
}

// Several results with one name are red if one of them failed, and their counts do not depend on their
// order.
func TestNamesThatRepeatInEveryOrder(t *testing.T) {
	for name, of := range repeats {
		for _, results := range []string{"FP", "FPP", "FFP", "FS", "FSP", "FPPP"} {
			var first string
			for _, order := range orders(results) {
				var text strings.Builder
				for _, kind := range order {
					text.WriteString(of.forms[string(kind)])
				}
				r, err := Read(strings.NewReader(fmt.Sprintf(of.file, text.String())), "")
				if err != nil {
					t.Fatalf("%s %s: %v", name, order, err)
				}
				got := fmt.Sprintf("%+v, %d outside", r.Results.Counts(), r.Results.SuiteFailures())
				if first == "" {
					first = got
				}
				if r.Results.Green() || r.Results.Counts().Failed == 0 || got != first {
					t.Errorf("%s %s: %s, and in another order %s", name, order, got, first)
				}
				sound(t, r)
			}
		}
	}
}

// orders returns all distinct permutations of the letters of a word.
func orders(word string) []string {
	if len(word) < 2 {
		return []string{word}
	}
	var all []string
	for i := range word {
		for _, rest := range orders(word[:i] + word[i+1:]) {
			if order := word[i:i+1] + rest; !slices.Contains(all, order) {
				all = append(all, order)
			}
		}
	}
	return all
}

// The results do not depend on the order of tests in a file, in formats other than JUnit XML.
func TestOrderChangesNothingInOtherFormats(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	for _, sample := range variantSamples(t, 256<<10) {
		var again func() []byte
		switch sample.reading.Format {
		case formatTRX, formatNUnit, formatXUnit:
			var root xmlNode
			if err := xml.NewDecoder(newCleanXMLOf(sample.data)).Decode(&root); err != nil {
				t.Fatal(err)
			}
			root.Attrs = slices.DeleteFunc(root.Attrs, func(a xml.Attr) bool { return a.Name.Local == "xmlns" }) // xml.Marshal writes it again
			again = func() []byte {
				root.shuffle(random)
				text, err := xml.Marshal(&root)
				if err != nil {
					t.Fatal(err)
				}
				return text
			}
		case formatCTRF, reports.FormatGinkgo:
			var root any
			if err := json.Unmarshal(sample.data, &root); err != nil {
				t.Fatal(err)
			}
			again = func() []byte {
				shuffleJSON(root, random)
				text, err := json.Marshal(root)
				if err != nil {
					t.Fatal(err)
				}
				return text
			}
		default:
			continue
		}
		want := outline(sample.reading)
		for range 5 {
			r, err := Read(bytes.NewReader(again()), "")
			if err != nil {
				t.Fatalf("%s: %v", sample.name, err)
			}
			if diff := gocmp.Diff(want, outline(r)); diff != "" {
				t.Fatalf("%s in another order: %s", sample.name, diff)
			}
		}
	}
}

// shuffleJSON changes the order of suites and tests.
func shuffleJSON(v any, random *rand.Rand) {
	switch v := v.(type) {
	case []any:
		if len(v) > 0 {
			if _, is := v[0].(map[string]any); is {
				random.Shuffle(len(v), func(a, b int) { v[a], v[b] = v[b], v[a] })
			}
		}
		for _, inner := range v {
			if suite, is := inner.(map[string]any); is {
				shuffleJSON(suite["SpecReports"], random)
			}
		}
	case map[string]any:
		if results, is := v["results"].(map[string]any); is {
			shuffleJSON(results["tests"], random)
		}
	}
}
