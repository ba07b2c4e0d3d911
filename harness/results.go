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

// resultsSchema is the version of the results format.
const resultsSchema = 1

// Results is the content of a results file: what a command measured, every figure
// with the slots that it was computed from.
type Results struct {
	Schema      int             `json:"schema"` // 1
	Program     Program         `json:"program"`
	Command     string          `json:"command"` // quoted for a shell
	Commit      string          `json:"commit"`  // commit of the measured tree, "" if unknown
	Dirty       bool            `json:"dirty"`   // the tree had uncommitted changes
	Comparisons []Comparison    `json:"comparisons"`
	Verdicts    json.RawMessage `json:"verdicts,omitempty"` // verdicts of package thresholds at the time; not read by this package
	Suites      json.RawMessage `json:"suites,omitempty"`   // results of the suites that the same command ran, for flujo-harness merge; not read by this package
	Digest      string          `json:"digest,omitempty"`   // SHA-256 of everything else, see digestOf; "" in files of older versions
}

// Program describes the build that measured.
type Program struct {
	Module   string `json:"module"`
	Version  string `json:"version"`  // "(devel)" for a build of a work tree
	Revision string `json:"revision"` // of the work tree, with "+changes" if it had uncommitted ones; "" if unknown
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

// SchemaError is the error for a file of another version of the format.
type SchemaError struct{ Got, Want int }

func (e *SchemaError) Error() string {
	return fmt.Sprintf("schema %d: this program reads %d: use the version of the program that wrote it", e.Got, e.Want)
}

// ResultsError is the error for a results file that cannot be used. It wraps the cause: a
// [*SchemaError], [ErrNoResults], or an error of [Recompute].
type ResultsError struct {
	Path string
	Err  error
}

func (e *ResultsError) Error() string { return fmt.Sprintf("results file %s: %v", e.Path, e.Err) }

func (e *ResultsError) Unwrap() error { return e.Err }

// ErrNoResults is the error for a results file without a comparison.
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

// digestOf returns the SHA-256 of a JSON object without its member "digest". White space and the
// order of the members do not matter. The digest detects damage and careless edits; it is no
// signature, since anybody can compute it.
func digestOf(text []byte) (string, error) {
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &members); err != nil {
		return "", err
	}
	delete(members, "digest")
	text, err := json.Marshal(members) // sorts the names and removes white space
	return fmt.Sprintf("%x", sha256.Sum256(text)), err
}

// errEdited is the error for a results file whose digest is wrong.
var errEdited = errors.New("its digest is not that of its content: the file was damaged or edited")

// commitDigits matches a commit as git writes it, abbreviated or not.
var commitDigits = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

// ReadResults reads a results file, which may be compressed by gzip, and recomputes every
// comparison from its slots. All errors are of type [*ResultsError].
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

// DecodeResults is like [ReadResults], for a reader.
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

// mostResults is the maximum size of a results file in bytes, after decompression.
const mostResults = 256 << 20

// ResultsText returns the JSON of a results file, which may be compressed by gzip. It refuses a
// file that is too large or is not JSON, and one in which an object has a name twice, because
// readers differ in which of the two they use.
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
