package redact

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// mostWork is how many bytes are looked at for each byte of a text, at most: a few passes of
// each of 8 levels, and the lookahead and lookbehind of the scanner.
const mostWork = 400

// workOf is how many bytes are looked at to redact s.
func workOf(s string) int {
	r := Redactor{work: workCounter{new(atomic.Int64)}}
	r.Text(s)
	return int(r.work.bytes.Load())
}

// hostileTexts are texts of about n bytes that made, or could make, the work grow faster than
// their length.
func hostileTexts(n int) map[string]string {
	list := map[string]string{}
	nest := func(name, seed string, wrap func(string) string) {
		s := seed
		for len(s) < n && len(s) < len(wrap(s)) {
			s = wrap(s)
		}
		list[name] = s
	}
	quoted := func(s string) string {
		out, _ := json.Marshal(s)
		return string(out)
	}
	nest("base64 in base64", "hello world this is text ", func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) })
	nest("base64 in base64 with a secret", "password=hunter2 and text ", func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) })
	nest("raw base64 in base64", "hello world this is text ", func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) })
	nest("JSON in JSON", "x", func(s string) string { return `{"a":` + quoted(s) + `}` })
	nest("JSON in JSON by escapes", `{"a":1}`, func(s string) string {
		return `["` + strings.NewReplacer(`"`, `\u0022`, `\`, `\u005c`).Replace(s) + `"]`
	})
	nest("percent in percent", `{"token":"%41"}`, func(s string) string { return url.QueryEscape(s) })
	nest("percent of percent", `%41`, func(s string) string { return strings.ReplaceAll(s, "%", "%25") + "%20" })
	nest("all in turn", "text of secret=hunter2", func(s string) string {
		return `{"a":` + quoted("data: "+url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(s)))) + `}`
	})
	depth := min(n/2, 9_000)
	list["arrays"] = strings.Repeat("[", depth) + strings.Repeat("]", depth)
	list["objects"] = strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth)
	list["arrays cut off"] = strings.Repeat("[", n)
	for _, part := range []string{"{\n", "{}\n", "data: {", "data: {}\n", "password: ", "password:", "password=", "token = ", "password:\"", "password:'", "<password>", "<password ", "<password><", "{Password:", "Password:a ",
		"Authorization: ", "Cookie: a", "sk-", "sk_", "sk-a.", "glc_/", "perm:=", "eyJ", "eyJaaaaaaaaa.", "eyJaaaaaaaaa.eyJaaaaaaaa.", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "---- BEGIN ", "END ", "://", "://a@", "://a:b", "://a:b@",
		"?a=b&", "?sig=", "%", "%4", "%41", "%25", "-p ", "-u a:", "mysql -p", "IDENTIFIED BY ", "machine login password ", "--password ", "Bearer ", "Basic ", "a:b:c:d:", "a:1:b:c:d\n", "a ", "a=", "\\", "\\\"", "&quot;", "password&quot;:&quot;",
		"[redacted:", "[redacted:known]", "[redacted] ", "password=[redacted", "hooks.slack.com/services/", "name: token\n", "AAAA", "aaaa", "0", "name=\"password\" value=", "password string = ", "password: |\n", "Private-Lines: 1\n", "Private-MAC", "=", ":", "\"", "é", "\xff",
		"mysql -p", "mysql a", "7z ", "ab ab -A ", "echo a|", "echo a | login ", "<<<", "login <<< a", "login(", "login(\"a\",", "fill(", "Equal(", "password.Equal(", "pw(", "auth=(", "INSERT INTO t (password) VALUES (", "insert into (pw) values ('a'),",
		"variable \"password\" {", "secrets:\n a: b\n", "data:\n", "kind: Secret\ndata:\n  a: bcd\n", "<input ", "<a ", "<a b=\"c\" ", "|| ", "? ", "?? \"a\"", "password,a\n", "| password | x |\n", "password\t", "password is ", "password is the ",
		" is the password ", "x1 as password ", "a/b@//", "a/", "$6$", "{SSHA", "password for a b c ", "password x: ", "password a != ", "*:*:*:", "use code ", "add-mask::", "token::", "password <- ", "\"password\" with ", "password: got ", "api key "} {
		list["many "+part] = strings.Repeat(part, n/len(part)+1)
	}
	list["known values that begin alike"] = strings.Repeat("password=aaaaaaaaa1 ", n/60) + strings.Repeat("a", n/3) + strings.Repeat("password=aaaaaaaaaa1aaaaaaaa ", n/90)
	return list
}

// The work is proportional to the length of a text, whatever it holds.
func TestWorkIsLinear(t *testing.T) {
	small, large := hostileTexts(4<<10), hostileTexts(16<<10)
	for name, s := range large {
		few, many := workOf(small[name]), workOf(s)
		if many > mostWork*len(s) {
			t.Errorf("%s: %d bytes are looked at for %d", name, many, len(s))
		}
		if was, is := float64(few)/float64(len(small[name])), float64(many)/float64(len(s)); is > 2*was+20 {
			t.Errorf("%s: %.1f times its length are looked at in %d bytes, %.1f times in %d", name, was, len(small[name]), is, len(s))
		}
	}
}

// What is encoded too deep to be opened is replaced, not believed.
func TestSecretsBelowTheDepthBound(t *testing.T) {
	s := "password=hunter2 and more text"
	for range mostDepth + 3 {
		s = base64.StdEncoding.EncodeToString([]byte(s))
	}
	got := new(Redactor).Text(s)
	for range mostDepth {
		data, err := base64.StdEncoding.DecodeString(got)
		if err != nil {
			t.Fatal(err)
		}
		got = string(data)
	}
	if got != "[redacted:nested]" {
		t.Errorf("%q", got)
	}
}
