package redact

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The corpora in testdata/corpus are texts of one line each, by kind of place. A secret is written
// as {{shape}} and drawn when the test runs, {{=shape}} is drawn as well but no secret, and \n is a
// line break. A text without a secret must stay as it is. The shapes:
//
//	w, W, s, s2, sp   a word; a word with a capital and a digit; letters, digits and signs (s2: without ! and %); two words
//	anN, anlN, UN, BN   N letters and digits: mixed; small; capitals; capitals and 2 to 7
//	hexN, HEXN, dN, uuid   hexadecimal; digits
//	b64:N, b64(text), B32, jwt, m12   N characters of base64; the base64 of a text; base32; a JSON Web Token; twelve words
var placeholder = regexp.MustCompile(`\{\{(=?)(b64\(.*?\)\}\}|[A-Za-z0-9:]+\}\})`)

var sizedShape = regexp.MustCompile(`^(anl|an|U|B|hex|HEX|d|b64:)([0-9]+)$`)

// draw makes up the secret of a shape, or returns "" for a shape that does not exist.
func (m *maker) draw(shape string) string {
	if text, ok := strings.CutPrefix(shape, "b64("); ok {
		text = strings.ReplaceAll(strings.TrimSuffix(text, ")"), `\0`, "\x00")
		return base64.StdEncoding.EncodeToString([]byte(text))
	}
	if f := sizedShape.FindStringSubmatch(shape); f != nil {
		n, _ := strconv.Atoi(f[2])
		switch f[1] {
		case "b64:":
			return m.base64(n)[:n/4*4] + m.of(lower, n%4)
		case "hex":
			return m.of(hexChars, n)
		case "HEX":
			return m.of("0123456789ABCDEF", n)
		}
		return m.of(map[string]string{"an": alnum, "anl": lower + digits, "U": upper + digits, "B": upper + "234567", "d": digits}[f[1]], n)
	}
	list := strings.Fields(passWords)
	word := func() string { return list[m.rng.IntN(len(list))] }
	switch shape {
	case "w":
		return word()
	case "W":
		w := word()
		return strings.ToUpper(w[:1]) + w[1:] + m.of(digits, 1)
	case "s":
		return m.of(lower, 3) + m.of("!^*-_+.~%", 1) + m.of(alnum, 4) + m.of("!^*_+", 1)
	case "s2":
		return m.of(lower, 3) + m.of("^*-_+.~", 1) + m.of(alnum, 4)
	case "sp":
		return word() + " " + word()
	case "uuid":
		return m.of(hexChars, 8) + "-" + m.of(hexChars, 4) + "-4" + m.of(hexChars, 3) + "-a" + m.of(hexChars, 3) + "-" + m.of(hexChars, 12)
	case "B32":
		return m.of(upper+"234567", 16)
	case "jwt":
		return "eyJ" + base64.RawURLEncoding.EncodeToString([]byte(`hg":"HS256"}`)) + ".eyJ" + base64.RawURLEncoding.EncodeToString([]byte(`ub":"bob"}`)) + "." + m.of(alnum, 43)
	case "m12":
		var words []string
		for range 12 {
			words = append(words, word())
		}
		return strings.Join(words, " ")
	}
	return ""
}

// passWords are what people choose: short, without a digit, mostly words of a dictionary.
const passWords = `plumtree marigold falcon tangerine wallaby hickory umbrella velvet sparrow copperkettle mangrove juniper biscuit harpoon lanterns
	quicksand trombone zeppelin orchard pickle gherkin snowdrop thimble badger walrus monsoon cobalt saffron tulip bramble kumquat magpie hunter letmein dragon qwerty sunshine abcdefg
	iloveyou monkeys shadow flibber gronk zxcvbn opensesame correcthorse trustno welcome starfish blueberry cinnamon`

// parts are the pieces of a secret none of which may stay in the text.
func parts(secret string) (list []string) {
	for _, w := range strings.Fields(secret) {
		switch {
		case len(w) > 12:
			for i := 0; i+10 <= len(w); i += 5 {
				list = append(list, w[i:i+10])
			}
		case len(w) > 3:
			list = append(list, w)
		}
	}
	return append(list, secret)
}

// readCorpus draws the texts of the files of testdata/corpus that a pattern names.
func readCorpus(t testing.TB, pattern string, m *maker) (list []sample) {
	files, err := filepath.Glob(filepath.Join("testdata", "corpus", pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus %s: %v", pattern, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
			if strings.HasPrefix(line, "# ") {
				continue
			}
			s := sample{name: fmt.Sprintf("%s:%d", filepath.Base(file), i+1)}
			s.text = placeholder.ReplaceAllStringFunc(strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(line), func(p string) string {
				shape := strings.TrimSuffix(strings.TrimPrefix(p, "{{"), "}}")
				shape, innocent := strings.CutPrefix(shape, "=")
				v := m.draw(shape)
				if v == "" {
					t.Fatalf("%s: no shape %q", s.name, shape)
				}
				if !innocent {
					if strings.HasPrefix(shape, "b64(") {
						s.list = append(s.list, v) // what is innocent in it may stay
					} else {
						s.list = append(s.list, parts(v)...)
					}
				}
				return v
			})
			list = append(list, s)
		}
	}
	return list
}

// score is how many texts of a corpus are redacted as they should be. What is not is logged.
func score(t *testing.T, list []sample) (found, secrets, changed, innocents int) {
	for _, s := range list {
		got := new(Redactor).Text(s.text)
		if strings.Contains(got, "[redacted:text]") {
			t.Errorf("%s: %q became %q as a whole", s.name, s.text, got)
		}
		if again := new(Redactor).Text(got); again != got {
			t.Errorf("%s: redacted twice\n%q\n%q", s.name, got, again)
		}
		if len(s.list) == 0 {
			innocents++
			if got != s.text {
				changed++
				t.Logf("changed: %s: %q became %q", s.name, s.text, got)
			}
			continue
		}
		secrets++
		missed := ""
		for _, part := range s.list {
			if strings.Contains(got, part) {
				missed = part
			}
		}
		if missed == "" {
			found++
		} else {
			t.Logf("missed: %s: %q became %q", s.name, s.text, got)
		}
	}
	return found, secrets, changed, innocents
}

// A text that is cut off anywhere does no harm, and stays as it is once it is redacted.
func TestCorporaCutOff(t *testing.T) {
	m := &maker{rng: rand.New(rand.NewPCG(9, 22))}
	for i, s := range readCorpus(t, "*.txt", m) {
		step := 3 // every position is met in some text of the same kind
		if len(s.text) > 200 {
			step = 7
		}
		for n := i % step; n < len(s.text); n += step {
			got := new(Redactor).Text(s.text[:n])
			if (i+n)%5 == 0 {
				if again := new(Redactor).Text(got); again != got {
					t.Fatalf("%s: redacted twice\n%q\n%q\n%q", s.name, s.text[:n], got, again)
				}
			}
		}
	}
}

// Every corpus is drawn three times: at least 95% of its secrets are found, and no text that holds
// none is changed.
func TestCorpora(t *testing.T) {
	for corpus, least := range map[string]int{"a": 100, "b": 100, "c": 100, "d": 100, "e": 100, "f": 60, "g": 200, "h": 55} {
		t.Run(corpus, func(t *testing.T) {
			for seed := range uint64(3) {
				m := &maker{rng: rand.New(rand.NewPCG(seed, 22))}
				found, secrets, changed, innocents := score(t, readCorpus(t, corpus+"-*.txt", m))
				t.Logf("seed %d: %d of %d found (%.1f%%), %d of %d innocent texts changed", seed, found, secrets, 100*float64(found)/float64(secrets), changed, innocents)
				if secrets < least || innocents < 25 || found*100 < secrets*95 || changed > 0 {
					t.Errorf("seed %d: %d of %d secrets found, want 95%%; %d of %d innocent texts changed, want 0", seed, found, secrets, changed, innocents)
				}
			}
		})
	}
}
