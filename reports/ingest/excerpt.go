package ingest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/reports"
)

// excerpt stores the beginning and the end of a long output.
type excerpt struct {
	head, tail []byte
	dropped    int
}

// add appends s and returns the number of additional bytes that are stored.
func (x *excerpt) add(s string) int {
	const half = reports.MaxMessage / 2
	was := x.size()
	if room := half - len(x.head); room > 0 {
		n := min(room, len(s))
		x.head, s = append(x.head, s[:n]...), s[n:]
	}
	if x.tail = append(x.tail, s...); len(x.tail) > 2*half {
		x.dropped += len(x.tail) - half
		x.tail = append(x.tail[:0], x.tail[len(x.tail)-half:]...)
	}
	return x.size() - was
}

// empty returns an empty excerpt that reuses the buffers of x.
func (x *excerpt) empty() excerpt { return excerpt{head: x.head[:0], tail: x.tail[:0]} }

func (x *excerpt) size() int { return len(x.head) + len(x.tail) }

// String returns at most reports.MaxMessage bytes, so that the end is not cut off later.
func (x *excerpt) String() string {
	if x.dropped == 0 && x.size() <= reports.MaxMessage {
		return string(x.head) + string(x.tail)
	}
	const words = 64 // bytes for the text between the two parts and for incomplete runes
	left := max(0, x.size()-(reports.MaxMessage-words))
	return fmt.Sprintf("%s\n… %d bytes left out …\n%s", strings.ToValidUTF8(string(x.head), ""), x.dropped+left, strings.ToValidUTF8(string(x.tail[left:]), ""))
}

// maxFaults is the maximum number of failures of one test whose messages are kept.
const maxFaults = 32

// faults collects the distinct messages of the failures of one test.
type faults struct {
	texts []string
	more  int // number of messages beyond maxFaults
}

func (f *faults) add(text string) {
	switch {
	case text == "" || slices.ContainsFunc(f.texts, func(s string) bool { return strings.Contains(s, text) }):
	case len(f.texts) >= maxFaults:
		f.more++
	default:
		f.texts = append(f.texts, text)
	}
}

// String joins the messages, up to the size limit of a message.
func (f *faults) String() string {
	var all excerpt
	for i, text := range f.texts {
		if i > 0 {
			all.add("\n\n")
		}
		all.add(text)
	}
	if f.more > 0 {
		all.add(fmt.Sprintf("\n\n… %d more failures of this test", f.more))
	}
	return all.String()
}
