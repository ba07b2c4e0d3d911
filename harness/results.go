package harness

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"

	"github.com/go-json-experiment/json/jsontext"
)

// resultsSchema is the version of the results format that is written and read.
const resultsSchema = 1

// Results is what a command measured, as it is written to a file: every figure
// with the slots that it was computed from.
type Results struct {
	Schema      int             `json:"schema"` // 1
	Program     Program         `json:"program"`
	Command     string          `json:"command"` // as it can be typed again
	Commit      string          `json:"commit"`  // of the measured tree, "" where it is unknown
	Dirty       bool            `json:"dirty"`   // the tree had changes beyond Commit
	Comparisons []Comparison    `json:"comparisons"`
	Verdicts    json.RawMessage `json:"verdicts,omitempty"` // as given then, by package thresholds; never read back
	Suites      json.RawMessage `json:"suites,omitempty"`   // what was run beside, for flujo-harness merge; never read back
	Digest      string          `json:"digest,omitempty"`   // SHA-256 of all the rest, see digestOf; "" in files of earlier versions
}

// Program is the build that measured.
type Program struct {
	Module   string `json:"module"`
	Version  string `json:"version"`  // "(devel)" for a build of a work tree
	Revision string `json:"revision"` // of that tree, "+changes" where it had any; "" where it is unknown
	Go       string `json:"go"`
}

// ThisProgram describes the running program.
func ThisProgram() Program {
	p := Program{Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return p
	}
	p.Module, p.Version = info.Main.Path, info.Main.Version
	modified := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			p.Revision = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	if modified {
		p.Revision += "+changes"
	}
	return p
}

// SchemaError is a file that another version of the program wrote.
type SchemaError struct{ Got, Want int }

func (e *SchemaError) Error() string {
	return fmt.Sprintf("schema %d: this program reads %d: use the version of the program that wrote it", e.Got, e.Want)
}

// ResultsError is a results file that cannot be used. It wraps the cause: a
// [*SchemaError], [ErrNoResults], or an error of [Recompute].
type ResultsError struct {
	Path string
	Err  error
}

func (e *ResultsError) Error() string { return fmt.Sprintf("results file %s: %v", e.Path, e.Err) }

func (e *ResultsError) Unwrap() error { return e.Err }

// ErrNoResults: a results file without a comparison.
var ErrNoResults = errors.New("there is no comparison in it: nothing was measured")

// Write writes the results as indented JSON.
func (r Results) Write(w io.Writer) error {
	r.Schema = resultsSchema
	r.Digest = ""
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if r.Digest, err = digestOf(text); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

// digestOf is the SHA-256 of a JSON object without its member "digest", blanks between
// tokens and the order of the members aside. It finds mistakes. It binds nobody: who edits a
// file can compute it again.
func digestOf(text []byte) (string, error) {
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &members); err != nil {
		return "", err
	}
	delete(members, "digest")
	text, err := json.Marshal(members) // sorts the names, and takes the blanks out
	return fmt.Sprintf("%x", sha256.Sum256(text)), err
}

// errEdited: the digest of a results file is not that of what is in it.
var errEdited = errors.New("its digest is not that of its content: the file was damaged or edited")

// commitDigits are a commit as git writes it, abbreviated or not.
var commitDigits = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

// ReadResults reads a results file, compressed or not, and recomputes every
// comparison in it from its slots. Errors are a [*ResultsError].
func ReadResults(path string) (*Results, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &ResultsError{path, err}
	}
	defer f.Close()
	r, err := DecodeResults(f)
	if err != nil {
		return nil, &ResultsError{path, err}
	}
	return r, nil
}

// DecodeResults is [ReadResults] for what is not in a file.
func DecodeResults(in io.Reader) (*Results, error) {
	data, err := ResultsText(in)
	if err != nil {
		return nil, err
	}
	var version struct {
		Schema *int `json:"schema"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, fmt.Errorf("this is no results file, or not all of one: %w", err)
	}
	switch {
	case version.Schema == nil:
		return nil, errors.New("this is no results file: it has no schema: use what --json wrote")
	case *version.Schema != resultsSchema:
		return nil, &SchemaError{*version.Schema, resultsSchema}
	}
	r := &Results{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("read the results: %w", err)
	}
	if r.Commit != "" && !commitDigits.MatchString(r.Commit) {
		return nil, fmt.Errorf("the commit is %q: 7 to 64 digits of 0-9a-f are needed, or none", r.Commit)
	}
	if len(r.Comparisons) == 0 {
		return nil, ErrNoResults
	}
	for i := range r.Comparisons {
		again, err := Recompute(&r.Comparisons[i])
		if err != nil {
			return nil, fmt.Errorf("comparison %d, %s: %w", i+1, r.Comparisons[i].Name(), err)
		}
		r.Comparisons[i] = *again
	}
	return r, nil
}

// mostResults is how large a results file may be, unpacked, in bytes.
const mostResults = 256 << 20

// ResultsText is the JSON of a results file, compressed by gzip or not. It refuses
// what is too large, no JSON, or has a name twice in one object, of which readers would
// take different ones.
func ResultsText(in io.Reader) ([]byte, error) {
	b := bufio.NewReader(in)
	from := io.Reader(b)
	if head, err := b.Peek(2); err == nil && head[0] == 0x1f && head[1] == 0x8b {
		if from, err = gzip.NewReader(b); err != nil {
			return nil, err
		}
	}
	data, err := io.ReadAll(io.LimitReader(from, mostResults+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > mostResults:
		return nil, fmt.Errorf("it is larger than %d MiB: results of one run are not: use what --json wrote", mostResults>>20)
	case len(bytes.TrimSpace(data)) == 0:
		return nil, fmt.Errorf("the file is empty: %w", ErrNoResults)
	}
	d := jsontext.NewDecoder(bytes.NewReader(data))
	if err := d.SkipValue(); err != nil {
		return nil, fmt.Errorf("this is no results file, or not all of one: %w", err)
	}
	var claimed struct {
		Schema int     `json:"schema"`
		Digest *string `json:"digest"`
	}
	if json.Unmarshal(data, &claimed) == nil && claimed.Schema == resultsSchema && claimed.Digest != nil {
		if digest, err := digestOf(data); err != nil || digest != *claimed.Digest {
			return nil, errEdited
		}
	}
	return data, nil
}
