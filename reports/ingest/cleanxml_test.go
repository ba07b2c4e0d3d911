package ingest

import (
	"bufio"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

func cleaned(r io.Reader) (string, error) {
	out, err := io.ReadAll(newCleanXML(bufio.NewReaderSize(r, 64)))
	return string(out), err
}

func TestCleanXML(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "",
		"<a>\x1b[31m\x00\t\r\n</a>":           "<a>\ufffd[31m\ufffd\t\r\n</a>",
		"<a>&#x1b;&#27;&#0;&#xFFFF;</a>":      "<a>\ufffd\ufffd\ufffd\ufffd</a>",
		"<a>&#xD800;&#1114112;&#9999999;</a>": "<a>\ufffd\ufffd\ufffd</a>",
		"<a>&#9;&#x41;&#x1F600;&lt;&#;&#x;&#z;&# 27;</a>": "<a>&#9;&#x41;&#x1F600;&lt;&#;&#x;&#z;&# 27;</a>",
		"<a b='&#x1b;\x1b>' c=\"'>\">x</a>":               "<a b='\ufffd\ufffd>' c=\"'>\">x</a>",
		"<a><![CDATA[&#x1b; \x1b ]] > <b>]]></a>":         "<a><![CDATA[&#x1b; \ufffd ]] > <b>]]></a>",
		"<a>x<!-- \x1b <b> -- > -->y</a>":                 "<a>xy</a>",
		"<!DOCTYPE testsuites>\n<a/>":                     "\n<a/>",
		"<!doctype  a-b.c\n><a/>":                         "<a/>",
		"<?xml version=\"1.0\"?><a/>":                     "<?xml version=\"1.0\"?><a/>",
		"<a>\xff\xc3é\xe2\x82€\xed\xa0\x80\uffff</a>":     "<a>\ufffd\ufffdé\ufffd\ufffd€\ufffd\ufffd\ufffd\ufffd</a>",
	} {
		for how, r := range map[string]io.Reader{"whole": strings.NewReader(text), "by byte": iotest.OneByteReader(strings.NewReader(text))} {
			if got, err := cleaned(r); err != nil || got != want {
				t.Errorf("%s, %q: %q, %v\nwant %q", how, text, got, err, want)
			}
		}
	}
	for text, want := range map[string]error{"<a><!-- ": io.ErrUnexpectedEOF, "<a b='": io.ErrUnexpectedEOF, "<a><![CDATA[x]]": io.ErrUnexpectedEOF, "<?xml": io.ErrUnexpectedEOF} {
		if _, err := cleaned(strings.NewReader(text)); !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What comes out can be read, is the same however it comes in, and stays as it is when
// it is cleaned again.
func TestCleanXMLIsSteady(t *testing.T) {
	pieces := []string{"<a>", "</a>", "<b c='", "'>", "<!--", "-->", "<![CDATA[", "]]>", "<?p", "?>", "&#x1b;", "&#", ";", "&amp;", "é", "\xe2\x82", "\xff", "\x1b", "x", "\n", "\"", ">", "\uffff"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var b strings.Builder
		for range random.IntN(40) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		text := b.String()
		first, err := cleaned(strings.NewReader(text))
		slow, slowErr := cleaned(iotest.OneByteReader(strings.NewReader(text)))
		if slow != first || (err == nil) != (slowErr == nil) {
			t.Fatalf("%q: %q %v, and by byte %q %v", text, first, err, slow, slowErr)
		}
		if err != nil {
			continue
		}
		if again, err := cleaned(strings.NewReader(first)); err != nil || again != first {
			t.Fatalf("%q: %q, and cleaned again %q, %v", text, first, again, err)
		}
		d := xml.NewDecoder(strings.NewReader(first))
		for err == nil {
			_, err = d.RawToken()
		}
		if said := err.Error(); strings.Contains(said, "illegal character") || strings.Contains(said, "invalid UTF-8") {
			t.Fatalf("%q: %q: %v", text, first, err)
		}
	}
}

func TestCleanXMLIsBounded(t *testing.T) {
	long := strings.Repeat("x\n", maxText)
	got, err := cleaned(strings.NewReader("<a>" + long + "<![CDATA[" + long + "]]><!-- " + long + "-->" + long + "</a><a>y</a>"))
	if err != nil || len(got) > 2*maxText || !strings.HasSuffix(got, "]]></a><a>y</a>") {
		t.Errorf("%d bytes, ends in %q, %v", len(got), got[max(0, len(got)-20):], err)
	}
	if _, err := cleaned(strings.NewReader("<a b='" + strings.Repeat("x", maxTag) + "'>")); !errors.Is(err, ErrTooBig) {
		t.Errorf("err = %v", err)
	}
	// An error further down names its line of the file, whatever was left out before.
	_, err = Read(strings.NewReader("<testsuite>\n<testcase><failure>"+strings.Repeat("x\n", 3*maxText)+"</failure></testcase>\n<testcase a='1' a='2'/></testsuite>"), "")
	var refused *FormatError
	if !errors.As(err, &refused) || refused.Line != 3*maxText+3 {
		t.Errorf("err = %v, want line %d", err, 3*maxText+3)
	}
}
