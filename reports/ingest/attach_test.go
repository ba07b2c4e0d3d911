package ingest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/flujo/flujo-harness/reports"
)

// moduleWith makes a folder with these files, which are empty.
func moduleWith(t *testing.T, names ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range names {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// Every way to attach a file to a test gives its name, its media type and its path from the root.
func TestAttachments(t *testing.T) {
	root := moduleWith(t, "web/test-results/a/shot.png", "pkg/_artifacts/1/b/trace.json", "pkg/_artifacts/1/a.log", "out/video.webm", "web/results/junit.xml")
	quoted := func(path ...string) string {
		text, err := json.Marshal(filepath.Join(append([]string{root}, path...)...))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	shot := reports.Attachment{Name: "shot.png", Type: "image/png", Path: "web/test-results/a/shot.png"}
	gone := reports.Attachment{Name: "gone.txt", Type: "text/plain", Path: "test-results/gone.txt"}
	page := reports.Attachment{Name: "page", Path: "https://ci.example.com/a?b=1"}
	entry := func(name, value string) string {
		return fmt.Sprintf(`{"Name":%q,"Value":{"AsJSON":%q}}`, name, value)
	}
	for name, of := range map[string]struct {
		file, text string
		want       []reports.Attachment
	}{
		"JUnit, a line of the output, from the folder of the file": {"web/results/x.xml", `<testsuite><testcase name="a"><system-out>one
[[ATTACHMENT|../test-results/a/shot.png]]
[[ATTACHMENT|test-results/gone.txt]]</system-out><system-err>[[ATTACHMENT|../test-results/a/shot.png]]</system-err></testcase></testsuite>`, []reports.Attachment{shot, gone}},
		"JUnit, from a folder above the file": {"web/results/x.xml", `<testsuite><testcase name="a"><system-out>[[ATTACHMENT|test-results/a/shot.png]]</system-out></testcase></testsuite>`, []reports.Attachment{shot}},
		"JUnit, from the root":                {"x.xml", `<testsuite><testcase name="a"><system-out>[[ATTACHMENT|web\test-results\a\shot.png]]</system-out></testcase></testsuite>`, []reports.Attachment{shot}},
		"JUnit, absolute":                     {"x.xml", `<testsuite><testcase name="a"><failure>no</failure><system-err>[[ATTACHMENT|` + filepath.Join(root, "web", "test-results", "a", "shot.png") + `]]</system-err></testcase></testsuite>`, []reports.Attachment{shot}},
		"JUnit, of an attempt":                {"web/x.xml", `<testsuite tests="1"><testcase name="a"><flakyFailure message="no">no<system-out>[[ATTACHMENT|test-results/a/shot.png]]</system-out></flakyFailure></testcase></testsuite>`, []reports.Attachment{shot}},
		"JUnit, properties and elements": {"web/x.xml", `<testsuite><testcase name="a"><properties><property name="testrail_attachment" value="test-results/a/shot.png"/><property name="attachment" value="test-results/gone.txt"/></properties>
<attachments><attachment name="page" href="https://ci.example.com/a?b=1"/></attachments></testcase></testsuite>`, []reports.Attachment{shot, gone, page}},
		"CTRF": {"ctrf.json", `{"results":{"tests":[{"name":"a","status":"passed","attachments":[{"name":"video","contentType":"video/webm; codecs=x","path":"out/video.webm"},{"name":"page","path":"https://ci.example.com/a?b=1"}],
"retryAttempts":[{"attempt":1,"status":"failed","attachments":[{"path":"web/test-results/a/shot.png"}]}]}]}}`, []reports.Attachment{{Name: "video", Type: "video/webm", Path: "out/video.webm"}, page, shot}},
		"go test": {"web/events.json", `{"Action":"run","Package":"e.x/pkg","Test":"A"}
{"Action":"artifacts","Package":"e.x/pkg","Test":"A","Path":` + quoted("pkg", "_artifacts", "1") + `}
{"Action":"output","Package":"e.x/pkg","Test":"A","Output":"    a_test.go:3: bad\n"}
{"Action":"fail","Package":"e.x/pkg","Test":"A"}
{"Action":"run","Package":"e.x/pkg","Test":"Without"}
{"Action":"pass","Package":"e.x/pkg","Test":"Without"}
{"Action":"fail","Package":"e.x/pkg"}`, []reports.Attachment{{Name: "a.log", Type: "text/plain", Path: "pkg/_artifacts/1/a.log"}, {Name: "b/trace.json", Type: "application/json", Path: "pkg/_artifacts/1/b/trace.json"}}},
		"go test, a folder that is gone": {"events.json", `{"Action":"run","Package":"e.x/pkg","Test":"A"}
{"Action":"artifacts","Package":"e.x/pkg","Test":"A","Path":` + quoted("pkg", "_artifacts", "2") + `}
{"Action":"pass","Package":"e.x/pkg","Test":"A"}
{"Action":"output","Package":"e.x/pkg","Output":"PASS\n"}
{"Action":"pass","Package":"e.x/pkg"}`, []reports.Attachment{{Name: "artifacts", Path: "pkg/_artifacts/2"}}},
		"Ginkgo, entries that are files or addresses": {"ginkgo.json", `[{"SuitePath":` + quoted("pkg") + `,"SuiteSucceeded":true,"PreRunStats":{"TotalSpecs":1},"SpecReports":[{"LeafNodeType":"It","LeafNodeText":"a","State":"passed","ReportEntries":[` +
			entry("page", `"https://ci.example.com/a?b=1"`) + "," + entry("shot.png", `"web/test-results/a/shot.png"`) + "," + entry("a word", `"passed"`) + "," + entry("a figure", `7`) + `]}]}]`, []reports.Attachment{page, shot}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(root, filepath.FromSlash(of.file))
			if err := os.WriteFile(path, []byte(of.text), 0o644); err != nil {
				t.Fatal(err)
			}
			r, err := ReadFile(path, root)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(of.want, r.Results.Specs[0].Attachments); diff != "" {
				t.Error(diff)
			}
			if slices.ContainsFunc(r.Notes, func(n string) bool { return strings.Contains(n, "attachments") }) || len(r.Results.Specs) > 1 && r.Results.Specs[1].Attachments != nil {
				t.Errorf("notes %q, %+v", r.Notes, r.Results.Specs)
			}
			if s := r.Results.Specs[0]; strings.Contains(s.Message, "artifacts: ") || strings.Contains(s.Output, "ATTACHMENT") {
				t.Errorf("message %q, output %q", s.Message, s.Output)
			}
			sound(t, r)
		})
	}
}

// No result file makes a page link to a script, to what lies outside of the module, or to more than
// anybody reads.
func TestHostileAttachments(t *testing.T) {
	root := moduleWith(t, "in.txt")
	if err := os.Symlink(filepath.Dir(root), filepath.Join(root, "up")); err != nil {
		t.Skip(err)
	}
	for _, location := range []string{"javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "vbscript:x", "../secret.txt", "/etc/passwd", `..\secret.txt`, `C:\secret.txt`, "a/../../secret.txt", "file://host/etc/passwd", "file:///etc/passwd",
		"https://user:password@example.com/", "https:///a", "a\x1b[31m.png", "a\u202egnp.exe", strings.Repeat("x", maxAttachmentPath+1), "http://example.com/\u202e", "."} {
		text, err := json.Marshal(map[string]any{"results": map[string]any{"tests": []any{map[string]any{"name": "a", "status": "failed", "attachments": []any{map[string]any{"name": "n", "path": location}}}}}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Read(strings.NewReader(string(text)), root)
		if err != nil {
			t.Fatal(err)
		}
		if a := r.Results.Specs[0].Attachments; len(a) != 1 || a[0] != (reports.Attachment{Name: "n", Type: a[0].Type}) {
			t.Errorf("%q: %+v", location, a)
		}
		if !slices.ContainsFunc(r.Notes, func(n string) bool { return strings.Contains(n, "of which only the name was kept: 1") }) {
			t.Errorf("%q: notes %q", location, r.Notes)
		}
	}
	link, err := Read(strings.NewReader(`{"results":{"tests":[{"name":"a","status":"failed","attachments":[{"name":"n","path":"up"}]}]}}`), root)
	if err != nil {
		t.Fatal(err)
	}
	if a := link.Results.Specs[0].Attachments; len(a) != 1 || a[0].Path != "up" { // its files were not listed: it leads outside
		t.Errorf("%+v", a)
	}
	var many strings.Builder
	for i := range reports.MaxAttachments + 5 {
		fmt.Fprintf(&many, "[[ATTACHMENT|%d.png]]\n", i)
	}
	s, r := readOne(t, `<testsuite><testcase name="a"><system-out>`+many.String()+`</system-out></testcase></testsuite>`)
	if len(s.Attachments) != reports.MaxAttachments || !slices.Equal(r.Notes, []string{"attachments of tests that were ignored: 5; at most 20 are kept per test"}) {
		t.Errorf("%d attachments, notes %q", len(s.Attachments), r.Notes)
	}
}
