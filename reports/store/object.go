package store

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"github.com/flujo/flujo-harness/reports/history"
)

// Limits of an object. MaxObject and maxContent are in bytes, compressed and uncompressed.
// maxGroups and maxValues limit the memory for decoding: in a malicious list, "{}," takes
// 3 bytes per spec, but a decoded spec takes hundreds.
const (
	MaxObject  = 32 << 20
	maxContent = 128 << 20
	maxGroups  = 1 << 20  // JSON objects: specs, suites, facts
	maxValues  = 20 << 20 // values of any kind
)

const timeForm = "20060102T150405Z"

var names = regexp.MustCompile(`^([0-9]{8}T[0-9]{6}Z)-([0-9a-f]{64})(\.pack)?$`)

// validName reports whether a name is that of an object. Other names are never opened.
func validName(name string) bool { return names.MatchString(name) }

// IsPack reports whether a name is that of a pack, an object with several runs.
func IsPack(name string) bool { return validName(name) && strings.HasSuffix(name, ".pack") }

func nameOf(at time.Time, content []byte) string {
	sum := sha256.Sum256(content)
	return at.UTC().Format(timeForm) + "-" + hex.EncodeToString(sum[:])
}

// Encode encodes a run as an object, with secrets removed and without its ID, which has a
// meaning only in one history.
func Encode(r reports.Run) (name string, object []byte, err error) {
	r = new(history.Censor).Run(r)
	r.ID = 0
	content, err := json.Marshal(r)
	if err != nil {
		return "", nil, err
	}
	if name = nameOf(r.Started, content); !validName(name) {
		return "", nil, fmt.Errorf("the start of the run, %v, is not a year of four digits: check the clock", r.Started)
	}
	if object, err = compress(content); err != nil {
		return "", nil, err
	}
	if len(content) > maxContent || len(object) > MaxObject {
		return "", nil, fmt.Errorf("the run has %d bytes, %d compressed, but a store accepts at most %d and %d", len(content), len(object), maxContent, MaxObject)
	}
	return name, object, nil
}

func compress(content []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(content)
	err = errors.Join(err, w.Close())
	return out.Bytes(), err
}

// Decode decodes the object of a run, which is not trusted: its name, size and digest are
// checked before it is parsed. The error is an [*ObjectError].
func Decode(name string, object []byte) (reports.Run, error) {
	if IsPack(name) {
		return reports.Run{}, &ObjectError{name, errors.New("a pack, not a single run")}
	}
	content, err := unpacked(name, object)
	if err != nil {
		return reports.Run{}, &ObjectError{name, err}
	}
	r, err := decodeRun(content)
	if err == nil && r.Started.UTC().Format(timeForm) != name[:len(timeForm)] {
		err = errors.New("the start of the run differs from that in its name")
	}
	if err != nil {
		return reports.Run{}, &ObjectError{name, err}
	}
	return r, nil
}

// unpacked returns the uncompressed content of an object after checking its name, size and
// digest.
func unpacked(name string, object []byte) ([]byte, error) {
	parts := names.FindStringSubmatch(name)
	if parts == nil {
		return nil, errors.Unwrap(CheckName(name))
	}
	if len(object) > MaxObject {
		return nil, fmt.Errorf("more than the maximum of %d bytes", MaxObject)
	}
	in, err := gzip.NewReader(bytes.NewReader(object))
	if err != nil {
		return nil, fmt.Errorf("damaged: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(in, maxContent+1))
	if err != nil {
		return nil, fmt.Errorf("damaged: %w", err)
	}
	if len(content) > maxContent {
		return nil, fmt.Errorf("more than the maximum of %d bytes uncompressed", maxContent)
	}
	if sum := sha256.Sum256(content); parts[2] != hex.EncodeToString(sum[:]) {
		return nil, errors.New("the digest of the content differs from that in its name: it was damaged or changed")
	}
	return content, nil
}

// decodeRun parses the content of a run after its digest was checked.
func decodeRun(content []byte) (r reports.Run, err error) {
	if !bytes.HasPrefix(content, []byte(`{"ID":0,"Started":"`)) || bytes.ContainsRune(content, '\n') { // a line break would separate two runs of a pack
		return r, errors.New("not in the format of Encode")
	}
	if err := bounded(content); err != nil {
		return r, err
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return reports.Run{}, fmt.Errorf("written by a newer version of flujo-harness, or not a run: %w", err)
	}
	if decoder.More() {
		return reports.Run{}, errors.New("extra data after the run")
	}
	// Commits are passed to git, and everybody with write access to the store can write objects.
	for _, commit := range append([]string{r.Commit}, r.Origin.Ancestors...) {
		if err := reports.CheckCommit(commit); err != nil {
			return reports.Run{}, err
		}
	}
	r.ID = 0
	return r, nil
}

// bounded returns an error for JSON that would need far more memory when decoded. It counts
// objects and values outside of strings.
func bounded(content []byte) error {
	groups, values, text := 0, 0, false
	for i := 0; i < len(content); i++ {
		switch c := content[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{':
			groups++
		case c == ',':
			values++
		}
	}
	if groups > maxGroups || values > maxValues {
		return fmt.Errorf("more than the maximum of %d JSON objects or %d values", maxGroups, maxValues)
	}
	return nil
}

// encodePack encodes runs, given as JSON by name, as the lines of a pack. The name of the pack
// contains the start of its first run.
func encodePack(runs map[string][]byte) (name string, object []byte, err error) {
	var content bytes.Buffer
	var first string
	for _, run := range sortedKeys(runs) {
		if first == "" {
			first = run
		}
		content.Write(runs[run])
		content.WriteByte('\n')
	}
	if object, err = compress(content.Bytes()); err != nil {
		return "", nil, err
	}
	sum := sha256.Sum256(content.Bytes())
	return first[:len(timeForm)] + "-" + hex.EncodeToString(sum[:]) + ".pack", object, nil
}

// decodePack calls f with each run of a pack and the name of its object. An error of f ends it.
// It calls bad with an [*ObjectError] for each invalid run. If the pack as a whole is invalid,
// the error is an ObjectError.
func decodePack(name string, object []byte, f func(name string, r reports.Run) error, bad func(error)) error {
	if !IsPack(name) {
		return &ObjectError{name, errors.New("not a pack")}
	}
	content, err := unpacked(name, object)
	if err != nil {
		return &ObjectError{name, err}
	}
	for line := range lines(content) {
		r, err := decodeRun(line)
		run := nameOf(r.Started, line)
		if err == nil && !validName(run) {
			err = errors.New("the start of a run is not a year of four digits")
		}
		if err != nil {
			bad(&ObjectError{name, err})
			continue
		}
		if err := f(run, r); err != nil {
			return err
		}
	}
	return nil
}

// lines yields the runs of a pack as JSON.
func lines(content []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for line := range bytes.Lines(content) {
			if !yield(bytes.TrimSuffix(line, []byte("\n"))) {
				return
			}
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
