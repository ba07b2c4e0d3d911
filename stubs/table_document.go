package stubs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	mostValues   = 1_000_000 // maximum number of values in a file, with aliases expanded
	mostBytes    = 4 << 20   // maximum size of a file
	mostSearched = 4 << 20   // maximum number of bytes parsed again to locate a syntax error
)

// document parses the only document of a file.
func document(data []byte) (*yaml.Node, error) {
	if len(data) > mostBytes {
		return nil, fmt.Errorf("line 1: it has more than %d MiB: split it", mostBytes>>20)
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF) || err == nil && (len(doc.Content) == 0 || doc.Content[0].Tag == "!!null"):
		return nil, errors.New("line 1: the file is empty: begin it with stubs: 1")
	case err != nil:
		return nil, syntax(data, err)
	}
	switch err := d.Decode(&second); {
	case err == nil:
		return nil, lineError(&second, "a second document begins: keep one")
	case !errors.Is(err, io.EOF):
		return nil, syntax(data, err)
	}
	if values(doc.Content[0], map[*yaml.Node]int{}) > mostValues {
		return nil, lineError(doc.Content[0], "with its aliases it has more than %d values: write fewer", mostValues)
	}
	return doc.Content[0], nil
}

// values returns the number of values in a node with aliases expanded, or mostValues+1 if there are
// more. known holds the counts of visited nodes, which are 0 while they are being counted: a node
// that contains itself is refused later, when it is read.
func values(n *yaml.Node, known map[*yaml.Node]int) int {
	n = target(n)
	if count, ok := known[n]; ok {
		return count
	}
	known[n] = 0
	count := 1
	for _, inner := range n.Content {
		count = min(count+values(inner, known), mostValues+1)
	}
	known[n] = count
	return count
}

// syntax returns an error of the YAML reader with the line where the problem begins. The reader
// itself reports the line of the surrounding construct, which is also one too small, or no line
// (yaml v3.0.5, parser.fail). Here it is the line after the longest part of the file that can be
// parsed.
func syntax(data []byte, err error) error {
	data = bytes.TrimSuffix(data, []byte("\n"))
	lines := bytes.SplitAfter(data, []byte("\n"))
	good, end := len(lines)-1, len(data)
	for searched := 0; good > 0; good-- {
		end -= len(lines[good])
		if searched += end; searched > mostSearched {
			return fmt.Errorf("line %d or before: %s", good+1, reason(err))
		}
		if readable(data[:end]) {
			break
		}
	}
	return fmt.Errorf("line %d: %s", good+1, reason(err))
}

func readable(data []byte) bool {
	d := yaml.NewDecoder(bytes.NewReader(data))
	for {
		switch err := d.Decode(new(yaml.Node)); {
		case errors.Is(err, io.EOF):
			return true
		case err != nil:
			return false
		}
	}
}

// reason returns the text of an error of the YAML reader without its position.
func reason(err error) string {
	return place.ReplaceAllString(strings.TrimPrefix(err.Error(), "yaml: "), "")
}

var place = regexp.MustCompile(`^line \d+: `)
