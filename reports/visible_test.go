package reports

import "testing"

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"": "",
		"plain, ünïcode 日本 👩‍💻 <b>":      "plain, ünïcode 日本 👩‍💻 <b>",
		"\x00\a\b\v\f\x1b[31m\x7f":       `\x00\x07\x08\x0b\x0c\x1b[31m\x7f`,
		"a\nb\rc\td":                     `a\nb\rc\td`,
		"\u0080\u009b\u009f\u00a0":       "\\u0080\\u009b\\u009f\u00a0",
		"\u202a\u202b\u202c\u202d\u202e": `\u202a\u202b\u202c\u202d\u202e`,
		"\u2066\u2067\u2068\u2069":       `\u2066\u2067\u2068\u2069`,
		"\u200e\u200f\u061c":             `\u200e\u200f\u061c`,
		"\u2028\u2029":                   `\u2028\u2029`,
		"a\xffb\xc3":                     `a\xffb\xc3`,
		"\ufffd":                         "\ufffd",
		"\ufffe\uffff":                   `\ufffe\uffff`,
		"::error::x":                     `\x3a:error::x`,
		" \t::set-output name=a::b":      ` \t\x3a:set-output name=a::b`,
		"std::vector":                    "std::vector",
		"a\n::error::x":                  `a\n::error::x`, // in the middle of a line
		"x ##[error]no":                  `x \x23#[error]no`,
		"##vso[task.complete]":           `\x23#vso[task.complete]`,
		"##TeamCity[x] ###[y":            `\x23#TeamCity[x] #\x23#[y`,
		"## heading [link]":              "## heading [link]",
	} {
		if got := Visible(in); got != want {
			t.Errorf("Visible(%q) = %q, want %q", in, got, want)
		}
	}
	if got := VisibleBlock("a\r\n\tb\x1b\nc\rd"); got != "a\n    b\\x1b\nc\\rd" {
		t.Errorf("block: %q", got)
	}
}

func FuzzVisible(f *testing.F) {
	f.Add("a\x1b\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range Visible(s) {
			if IsControl(r) {
				t.Fatalf("%q lets %U through", s, r)
			}
		}
	})
}
