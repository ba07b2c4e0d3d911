package redact

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The secrets below are made up and put together here, so that no scanner of this
// repository takes them for real ones.
var (
	fakeJWT = "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0" + ".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
	fakePEM = "-----BEGIN RSA PRIVATE" + " KEY-----\nMIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeK\n-----END RSA PRIVATE KEY-----"
)

func TestTextRules(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"use sk-" + "proj-abcdefghij1234567890 now", "use [redacted:api-key] now"},
		{"sk-" + "ant-api03-abcdefghij1234567890", "[redacted:api-key]"},
		{"ghp_" + "abcdefghij1234567890", "[redacted:github]"},
		{"github_pat_" + "11ABCDEFG0abcdefghij", "[redacted:github]"},
		{"(xoxb-" + "12345678-abcdefgh)", "([redacted:slack])"},
		{"AKIA" + "IOSFODNN7EXAMPLE.", "[redacted:aws]."},
		{"AIza" + "SyA1234567890abcdefghijklmnopqrstuv", "[redacted:google]"},
		{"jwt " + fakeJWT + ", ok", "jwt [redacted:jwt], ok"},
		{"key:\n" + fakePEM + "\nend", "key:\n[redacted:private-key]\nend"},
		{fakePEM[:60], "[redacted:private-key]"}, // cut off
		{"Bearer abc123def456", "Bearer [redacted:bearer]"},
		{"curl -H 'authorization: Basic dXNlcjpodW50ZXIy'", "curl -H 'authorization: [redacted:header]'"},
		{"postgres://admin:pa55wort@db:5432/x", "postgres://admin:[redacted:url-password]@db:5432/x"},
		{"GET https://h/p?q=cats&api_key=abc&page=2: 401", "GET https://h/p?q=cats&api_key=[redacted:field]&page=2: 401"},
		{"https://h/?x-amz-%73ignature=abc", "https://h/?x-amz-%73ignature=[redacted:field]"},
		{"DB_PASSWORD=hunter2", "DB_PASSWORD=[redacted:assignment]"},
		{`set "client_secret" : "not a digit in it"`, `set "client_secret" : "[redacted:assignment]"`},
		{`{\"password\": \"hunter\"} in a log`, `{\"password\": \"[redacted:assignment]\"} in a log`},
		{"key 9hJ2kL5mN8pQ1rS4tV7wX0yZ3aB6cD9e.", "key [redacted:entropy]."},
		{`{"a": 1.0, "token": "x"}`, `{"a": 1.0, "token": "[redacted:field]"}`},
		{"data: {\"password\": \"x\"}\n\n", "data: {\"password\": \"[redacted:field]\"}\n\n"},
		{"?pwd=ab", "?pwd=[redacted:field]"}, // as short as can be
		{"://u:p@", "://u:[redacted:url-password]@"},
		{"https://h/?token=abc123def", "https://h/?token=[redacted:field]"},
		{"clone https://ghp_" + "abcdefghij1234567890@github.com/x", "clone https://[redacted:github]@github.com/x"},
		{`{"sessionid":"hunter2"}` + "\n" + `{"b":1}`, `{"sessionid":"[redacted:field]"}` + "\n" + `{"b":1}`},
		// Of a name that is there twice both values are looked at.
		{`{"a":"sk-` + `abcdefghij1234567890","a":"x"}`, `{"a":"[redacted:api-key]","a":"x"}`},
		{"{\"\xfe\":\"sk-" + "abcdefghij1234567890\",\"\xff\":\"x\"}", "{\"\xfe\":\"[redacted:api-key]\",\"\xff\":\"x\"}"},
		// Lines of an event that are not JSON, and one that is.
		{"data: {\"a\":1}\ndata: key sk-" + "abcdefghij1234567890\n\n", "data: {\"a\":1}\ndata: key [redacted:api-key]\n\n"},
		{"data: {\"a\":1}\n" + fakePEM + "\ndata: [1]\n", "data: {\"a\":1}\n[redacted:private-key]\ndata: [1]\n"},
		{base64.StdEncoding.EncodeToString([]byte("password=hunter2")), base64.StdEncoding.EncodeToString([]byte("password=[redacted:assignment]"))},
	} {
		var r Redactor
		got := r.Text(tt.in)
		if got != tt.want {
			t.Errorf("text %q\n got %q\nwant %q", tt.in, got, tt.want)
		}
		if again := new(Redactor).Text(got); again != got {
			t.Errorf("text %q\nredacted once  %q\nredacted twice %q", tt.in, got, again)
		}
	}
}

func TestTreeRules(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{`{"Api-Key":"x","X-API-KEY":"y","openaiApiKey":"z"}`, `{"Api-Key":"[redacted:field]","X-API-KEY":"[redacted:field]","openaiApiKey":"[redacted:field]"}`},
		{`{"headers":{"Authorization":["Bearer x"],"Set-Cookie":["a=b"],"Accept":["*/*"]}}`, `{"headers":{"Authorization":["[redacted:field]"],"Set-Cookie":["[redacted:field]"],"Accept":["*/*"]}}`},
		{`{"credentials":{"user":"u","pin":12,"on":true,"none":null,"empty":""}}`, `{"credentials":{"user":"[redacted:field]","pin":0,"on":true,"none":null,"empty":""}}`},
		{`[{"name":"Cookie","value":"a=b"},{"name":"topic","value":"cats"}]`, `[{"name":"Cookie","value":"[redacted:field]"},{"name":"topic","value":"cats"}]`},
		{`{"prompt":"log in with tr0ub4dor&3","password":"tr0ub4dor&3"}`, `{"prompt":"log in with [redacted:known]","password":"[redacted:field]"}`},
		{`{"a":"https://h/?q=tr0ub4dor%263","password":"tr0ub4dor&3"}`, `{"a":"https://h/?q=[redacted:known]","password":"[redacted:field]"}`},
		{`{"arguments":"{\"path\":\"/x\",\"token\":\"abc\"}"}`, `{"arguments":"{\"path\":\"/x\",\"token\":\"[redacted:field]\"}"}`},
		{`{"arguments":"{ \"path\": \"/x\" }"}`, `{"arguments":"{ \"path\": \"/x\" }"}`},
		{`{"sk-proj-abcdefghij1234567890":"owner"}`, `{"[redacted:api-key]":"owner"}`},
		{`{"max_tokens":100,"usage":{"prompt_tokens":12},"total_tokens":"many"}`, `{"max_tokens":100,"usage":{"prompt_tokens":12},"total_tokens":"many"}`},
		{`{"content":[{"token":"Hello","logprob":-0.5,"bytes":[72]}]}`, `{"content":[{"token":"Hello","logprob":-0.5,"bytes":[72]}]}`},
		{`{"html":"<b>&","":"no name"}`, `{"html":"<b>&","":"no name"}`},
		{`{"password":"[redacted:x] and hunter2"}`, `{"password":"[redacted:field]"}`},
		{`{"n":12345678901234567890.10,"e":1e400}`, `{"n":12345678901234567890.10,"e":1e400}`},
	} {
		got := string(new(Redactor).JSON([]byte(tt.in)))
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.in, diff)
		}
		if again := string(new(Redactor).JSON([]byte(got))); again != got {
			t.Errorf("redacted once  %s\nredacted twice %s", got, again)
		}
	}
}

// Ordinary texts and identifiers are left alone.
func TestWhatIsNoSecret(t *testing.T) {
	sum := sha256.Sum256([]byte("x"))
	png := append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 60)...)
	for i := range png[16:] {
		png[16+i] = byte(i * 41)
	}
	for _, s := range []string{
		"The bearer certificates of a basic understanding: a token of thanks, the secret is out.",
		"The password: required. Token: string. The secret ingredient = patience.",
		"token = parser.next(); if token == nil { return }",
		"sk-learn-compatible-estimators are risk-free, task-oriented-things-1234567890",
		"550e8400-e29b-41d4-a716-446655440000",
		"commit 6a25b88f0d1c4e7f9a3b5c8d2e4f6071829304a5",
		fmt.Sprintf("%x", sum), fmt.Sprintf("%X", sum),
		"/home/user/go/pkg/mod/github.com/Masterminds/semver/v3@v3.4.0/constraints.go",
		"https://github.com/flujo/flujo-harness/blob/main/core/engine.go#L42",
		"TestRecordedAgentIsReplayedWithoutTheRealOne2",
		"github.com/flujo/flujo-harness/stubs_test.TestBadCassettes",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
		"2026-07-01T12:34:56.789012345Z", "user@example.com", "http://127.0.0.1:8080/path",
		base64.StdEncoding.EncodeToString([]byte("An ordinary text, in base64 as Go writes a []byte.")),
		"data:image/png;base64," + base64.StdEncoding.EncodeToString(png),
		base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\xff\x00payload", 200))),
	} {
		if got := new(Redactor).Text(s); got != s {
			t.Errorf("%q\nbecame %q", s, got)
		}
	}
	for _, s := range []string{`{"id":"toolu_01A09q90qw90lq917835Xb7Kq9Zt"}`, `{"tool_call_id":"call_9hJ2kL5mN8pQ1rS4tV7wX0yZ"}`, `{"etag":"9hJ2kL5mN8pQ1rS4tV7wX0yZ3aB6cD9e"}`} {
		if got := new(Redactor).Text(s); got != s {
			t.Errorf("%q\nbecame %q", s, got)
		}
	}
}

// The sources and notes of this project: nothing in them is a secret.
func TestSourcesAreLeftAlone(t *testing.T) {
	files, _ := filepath.Glob("../../core/*.go")
	files = append(files, "../../README.md")
	bytes := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, "redact.go") {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		bytes += len(data)
		for _, p := range new(Redactor).find(string(data), layer{}) {
			t.Errorf("%s: %q is taken for a secret (%s)", file, data[p.from:p.to], p.with)
		}
	}
	if bytes < 50_000 {
		t.Fatalf("only %d bytes read", bytes)
	}
}

// The rates that entropy.go states, over seeded random keys.
func TestEntropyFindsRandomKeys(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	for _, tt := range []struct {
		chars int
		least float64
	}{{300, 0}, {24, .90}, {32, .97}, {64, .997}, {256, .999}} {
		found, n := 0, 2000
		for range n {
			data := make([]byte, tt.chars)
			_, _ = random.Read(data)
			if isRandom(base64.StdEncoding.EncodeToString(data)[:tt.chars]) {
				found++
			}
		}
		if rate := float64(found) / float64(n); rate < tt.least || tt.least == 0 && found > 0 {
			t.Errorf("%d characters: %d of %d found, want %.1f%% (and none of what is too long for a key)", tt.chars, found, n, 100*tt.least)
		}
	}
}

// A secret that is given away by its name may stand in front of it.
func TestTextIsRedactedBeforeTheNameToo(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"login hunter22x9z, password=hunter22x9z", "login [redacted:known], password=[redacted:assignment]"},
		{`{"a":"hunter22x9z","password":"hunter22x9z"}`, `{"a":"[redacted:known]","password":"[redacted:field]"}`},
	} {
		var r Redactor
		got := r.Text(tt.in)
		if again := r.Text(got); got != tt.want || again != got {
			t.Errorf("text %q\n   once %q\n  twice %q\n   want %q", tt.in, got, again, tt.want)
		}
	}
}

// What was redacted once stays as it is: else a replay would miss. JSON stays JSON, and the
// work is bounded.
func FuzzRedactTwice(f *testing.F) {
	for _, s := range []string{"a token: \"x y z\"", "Bearer abc12345", `{"password":"x","a":["sk-abcdefghij1234567890"]}`, "data: {\"token\":\"a\"}\n\n", "https://u:p1@h?sig=1", fakePEM, fakeJWT,
		"cGFzc3dvcmQ9aHVudGVyMg=="} {
		f.Add(s)
	}
	for i, s := range readCorpus(f, "*.txt", &maker{rng: rand.New(rand.NewPCG(7, 22))}) {
		if i%4 == 0 || len(s.text) < 60 {
			f.Add(s.text)
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "")
		quoted, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		once := new(Redactor).JSON(quoted)
		if !json.Valid(once) {
			t.Errorf("%q is no JSON once it is redacted: %s", s, once)
		}
		if twice := new(Redactor).JSON(once); string(once) != string(twice) {
			t.Errorf("%q\nredacted once  %s\nredacted twice %s", s, once, twice)
		}
		if n := workOf(s); n > mostWork*(len(s)+100) {
			t.Errorf("%q: %d bytes are looked at for %d", s, n, len(s))
		}
		var r Redactor
		text := r.Text(s)
		if again := r.Text(text); again != text {
			t.Errorf("%q\nredacted once  %q\nredacted twice %q", s, text, again)
		}
	})
}

// A file of results may give away a secret in each of its specs. All are found, also where
// they overlap, and what is known is not gone through for every text.
func TestManyKnownSecrets(t *testing.T) {
	const n = 2_000
	var r Redactor
	secret := func(i int) string { return fmt.Sprintf("st-proj-%06d", i) }
	for i := range n {
		if got := r.Text("token=" + secret(i)); got != "token=[redacted:assignment]" {
			t.Fatalf("%q", got)
		}
	}
	if got := r.Text("was " + secret(n-1) + "," + secret(0) + "!"); got != "was [redacted:known],[redacted:known]!" {
		t.Errorf("%q", got)
	}
	r.Know("000001-abcdef")
	if got := r.Text("it is st-proj-000001-abcdef."); got != "it is [redacted:known]." {
		t.Errorf("%q", got)
	}
}
