package store

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
	"github.com/flujo/flujo-harness/reports/internal/sample"
)

func job(i int) reports.Run {
	r := sample.CellsRun(0, fmt.Sprintf("%07x:..F", i))
	r.Started = sample.Noon.Add(time.Duration(i) * time.Second)
	return r
}

// sealed returns an object with any content, and a name with the matching digest.
func sealed(t *testing.T, at, content, suffix string) Object {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return Object{at + fmt.Sprintf("-%x", sha256.Sum256([]byte(content))) + suffix, out.Bytes()}
}

func contentOf(t *testing.T, object []byte) string {
	t.Helper()
	in, err := gzip.NewReader(bytes.NewReader(object))
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func hostile(t *testing.T) map[string]Object {
	name, object, err := Encode(job(1))
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := Encode(job(2))
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(object)
	flipped[len(flipped)/2] ^= 1
	at, content := name[:len(timeForm)], contentOf(t, object)
	changed := func(old, new string) Object {
		if !strings.Contains(content, old) {
			t.Fatalf("a run has no %s: %s", old, content)
		}
		return sealed(t, at, strings.Replace(content, old, new, 1), "")
	}
	return map[string]Object{
		"the content of another": {other, object},
		"a flipped bit":          {name, flipped},
		"truncated":              {name, object[:len(object)-9]},
		"empty":                  {name, nil},
		"another time":           {"2" + name[1:3] + "0" + name[4:], object},
		"a path":                 {"../" + name, object},
		"a text":                 {name, []byte("<html>")},
		"too large":              {name, make([]byte, MaxObject+1)},
		"a decompression bomb":   sealed(t, at, strings.Repeat("0", maxContent+1), ""),
		"many empty specs":       sealed(t, at, `{"ID":0,"Started":"2026-11-23T12:00:01.123456789Z","Suites":{"Specs":[{}`+strings.Repeat(",{}", maxGroups)+`]}}`, ""),
		"many empty labels":      sealed(t, at, `{"ID":0,"Started":"2026-11-23T12:00:01.123456789Z","Suites":{"Specs":[{"Labels":[""`+strings.Repeat(`,""`, maxValues)+`]}]}}`, ""),
		"deeply nested":          sealed(t, at, `{"ID":0,"Started":"2026-11-23T12:00:01.123456789Z","Suites":`+strings.Repeat("[", 1_000_000), ""),
		"not JSON":               sealed(t, at, "run", ""),
		"a list":                 sealed(t, at, "[]", ""),
		"two runs":               sealed(t, at, content+content, ""),
		"lines":                  changed(",", ",\n"),
		"a commit with a flag":   changed(`"Commit":"0000001"`, `"Commit":"--upload-pack=x"`),
		"an escape sequence":     changed(`{`, `{"Origin":{"Ancestors":["\u001b[2J"]},`),
		"a newer version":        sealed(t, at, strings.TrimSuffix(content, "}")+`,"Mood":"good"}`, ""),
		"an unknown state":       changed(`"passed"`, `"splendid"`),
		"a name with a suffix":   {name + ".tmp", object},
		"a damaged pack":         {name + ".pack", flipped},
		"a pack without runs":    sealed(t, at, "x\ny\n", ".pack"),
	}
}

// Invalid runs are reported and skipped; valid runs next to them are added.
func TestHostileObjects(t *testing.T) {
	h, err := history.Open(t.Context(), filepath.Join(t.TempDir(), "h.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	known := map[string]int64{}
	for what, o := range hostile(t) {
		y := &Syncer{history: h, there: map[string]bool{}}
		taken, refused, err := y.take(t.Context(), o, known)
		var bad *ObjectError
		if err != nil || taken != 0 || len(refused) == 0 || !errors.As(refused[0], &bad) {
			t.Errorf("%s: %d taken, refused %v, %v", what, taken, refused, err)
		}
	}
	if len(known) > 0 {
		t.Errorf("known are %v", known)
	}
	_, object, err := Encode(job(1))
	if err != nil {
		t.Fatal(err)
	}
	mixed := sealed(t, "20261123T120001Z", contentOf(t, object)+"\n{}\n", ".pack")
	y := &Syncer{history: h, there: map[string]bool{}}
	if taken, refused, err := y.take(t.Context(), mixed, known); err != nil || taken != 1 || len(refused) != 1 {
		t.Errorf("a pack with one run: %d taken, refused %v, %v", taken, refused, err)
	}
}

// Objects contain no secrets, in whatever field of the run they were.
func TestObjectsContainNoSecrets(t *testing.T) {
	const secret = "ghp_0123456789abcdefghijABCDEFGHIJ456789"
	r := job(1)
	text := "login with token=" + secret + " failed"
	r.Command, r.SuiteError = text, text
	r.Facts = []reports.Fact{{Name: "host", Value: text}}
	r.Origin.Job, r.Origin.Problem, r.Origin.CommitURL = text, text, "https://x:"+secret+"@host/commit"
	for i := range r.Suites.Specs {
		s := &r.Suites.Specs[i]
		s.Message, s.Output, s.Leaf, s.Detail, s.Labels, s.Containers = text, text, fmt.Sprint(text, i), text, []string{text}, []string{text}
	}
	r.Suites.Suites[0].Description = text
	r.Suites.Suites[0].Failures = []reports.SuiteFailure{{Node: text, Message: text}}
	_, object, err := Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	content := contentOf(t, object)
	if at := strings.Index(content, secret); at >= 0 {
		t.Errorf("…%s…", content[max(0, at-80):at+20])
	}
}

func TestAddressesAreShownWithoutSecrets(t *testing.T) {
	for address, want := range map[string]string{
		"postgres://me:hunter2@db/x?sslmode=disable":   "postgres://db/x",
		"postgres://me:hunt%40er2@db/x":                "postgres://db/x",
		"postgres://db/x?password=hunter2":             "postgres://db/x",
		"git:https://hunter2@github.com/a/b":           "git:https://github.com/a/b",
		"git:https://x:hunter2@github.com/a/b":         "git:https://github.com/a/b",
		"git:origin":                                   "git:origin",
		"git:git@github.com:a/b.git":                   "git:github.com:a/b.git",
		"file:///mnt/history":                          "file:///mnt/history",
		"s3://bucket?awssdk=v2&secret_key=hunter2":     "s3://bucket",
		"host=db password=hunter2":                     "of this address",
		"azblob://c#hunter2":                           "azblob://c",
		"postgres://me:hunt#er2@db/x":                  "postgres://db/x",
		"postgres://me:hunt/er2@db/x":                  "postgres://db/x",
		"postgres://me:hunt?er2@db/x":                  "postgres://db/x",
		"s3://b?endpoint=http://me:hunter2@host&x=y@z": "s3://b",
	} {
		if got := Shown(address); got != want {
			t.Errorf("%s is shown as %s, want %s", address, got, want)
		}
		if got := Shown(address); strings.Contains(got, "hunt") {
			t.Errorf("%s is shown as %s", address, got)
		}
	}
}

// An error of a store contains no password, whatever part of the address it repeats.
func TestErrorsContainNoPassword(t *testing.T) {
	for _, address := range []string{"postgres://me:hunter2@db/x", "x://db/x?password=hunter2", "host=db password=hunter2", "file://me:hunter2@host/x",
		"git:https://hunter2@127.0.0.1:1/x", "git:https://me:hunter2@127.0.0.1:1/x"} {
		s, err := Open(t.Context(), address, Options{Dir: t.TempDir()})
		if err == nil {
			for _, err = range s.List(t.Context()) {
				break
			}
			if _, put := s.Put(t.Context(), "20261123T120000Z-"+strings.Repeat("0", 64), nil); err == nil || put == nil {
				t.Errorf("%s: list: %v, put: %v", address, err, put)
			}
			err = errors.Join(err, s.Close())
		}
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", address, err)
		}
	}
	err := hide(fmt.Errorf("cannot reach postgres://me:hunt@er2@db (hunt@er2, hunt%%40er2): %w", io.EOF), secretsOf("postgres://me:hunt%40er2@db/x"))
	if strings.Contains(err.Error(), "er2") || !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
