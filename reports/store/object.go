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

// MaxObject and MaxContent bound an object, in bytes, compressed and not. maxGroups and
// maxValues bound what decoding may allocate: a hostile list of {} takes 3 bytes for each
// spec, which in memory has hundreds.
const (
	MaxObject  = 32 << 20
	MaxContent = 128 << 20
	maxGroups  = 1 << 20  // JSON objects: specs, suites, facts
	maxValues  = 20 << 20 // values of any kind
)

const timeForm = "20060102T150405Z"

var names = regexp.MustCompile(`^([0-9]{8}T[0-9]{6}Z)-([0-9a-f]{64})(\.pack)?$`)

// ValidName reports whether a name can be that of an object: nothing else is ever opened.
func ValidName(name string) bool { return names.MatchString(name) }

// IsPack reports whether a name is that of a pack.
func IsPack(name string) bool { return ValidName(name) && strings.HasSuffix(name, ".pack") }

func nameOf(at time.Time, content []byte) string {
	sum := sha256.Sum256(content)
	return at.UTC().Format(timeForm) + "-" + hex.EncodeToString(sum[:])
}

// Encode makes the object of a run. Its secrets are taken out, and its number, which is that
// of one history, is left out.
func Encode(r reports.Run) (name string, object []byte, err error) {
	r = new(history.Censor).Run(r)
	r.ID = 0
	content, err := json.Marshal(r)
	if err != nil {
		return "", nil, err
	}
	if name = nameOf(r.Started, content); !ValidName(name) {
		return "", nil, fmt.Errorf("its start, %v, is not of this age: is the clock right?", r.Started)
	}
	if object, err = compress(content); err != nil {
		return "", nil, err
	}
	if len(content) > MaxContent || len(object) > MaxObject {
		return "", nil, fmt.Errorf("it has %d bytes, %d compressed: a store takes %d and %d", len(content), len(object), MaxContent, MaxObject)
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

// Decode reads the object of a run, which may be hostile: its name, its size and its digest are
// checked before it is parsed. The error is an [*ObjectError].
func Decode(name string, object []byte) (reports.Run, error) {
	if IsPack(name) {
		return reports.Run{}, &ObjectError{name, errors.New("it is a pack of runs, not one")}
	}
	content, err := unpacked(name, object)
	if err != nil {
		return reports.Run{}, &ObjectError{name, err}
	}
	r, err := decodeRun(content)
	if err == nil && r.Started.UTC().Format(timeForm) != name[:len(timeForm)] {
		err = errors.New("its name has another time than its run")
	}
	if err != nil {
		return reports.Run{}, &ObjectError{name, err}
	}
	return r, nil
}

// unpacked is the content of an object, once its name, size and digest are right.
func unpacked(name string, object []byte) ([]byte, error) {
	parts := names.FindStringSubmatch(name)
	if parts == nil {
		return nil, errors.Unwrap(CheckName(name))
	}
	if len(object) > MaxObject {
		return nil, fmt.Errorf("it has more than %d bytes, the most that a run may have", MaxObject)
	}
	in, err := gzip.NewReader(bytes.NewReader(object))
	if err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(in, MaxContent+1))
	if err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	if len(content) > MaxContent {
		return nil, fmt.Errorf("it has more than %d bytes uncompressed, the most that a run may have", MaxContent)
	}
	if sum := sha256.Sum256(content); parts[2] != hex.EncodeToString(sum[:]) {
		return nil, errors.New("its content is not what its name says: it was damaged or changed")
	}
	return content, nil
}

// decodeRun parses the content of a run whose digest is right.
func decodeRun(content []byte) (r reports.Run, err error) {
	if !bytes.HasPrefix(content, []byte(`{"ID":0,"Started":"`)) || bytes.ContainsRune(content, '\n') { // which would be two lines of a pack
		return r, errors.New("it is not in the form in which runs are written")
	}
	if err := bounded(content); err != nil {
		return r, err
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return reports.Run{}, fmt.Errorf("a newer version of flujo-harness wrote it, or it is no run: %w", err)
	}
	if decoder.More() {
		return reports.Run{}, errors.New("there is more than a run in it")
	}
	// Commits are given to git and shown in many places: an object is of anybody who may write to
	// the store.
	for _, commit := range append([]string{r.Commit}, r.Origin.Ancestors...) {
		if err := reports.CheckCommit(commit); err != nil {
			return reports.Run{}, err
		}
	}
	r.ID = 0
	return r, nil
}

// bounded refuses content that would take far more memory when decoded.
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
		return fmt.Errorf("it has more than %d parts or %d values, the most that a run may have", maxGroups, maxValues)
	}
	return nil
}

// encodePack joins runs, given as their JSON by name, a line for each. The name of a pack has
// the time of the first.
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

// DecodePack calls f with each run of a pack and the name that its object had. An error of f ends
// it; bad is called with what is no run, an [*ObjectError]. The error of a pack that must not be
// used is an ObjectError, too.
func DecodePack(name string, object []byte, f func(name string, r reports.Run) error, bad func(error)) error {
	if !IsPack(name) {
		return &ObjectError{name, errors.New("it is no pack of runs")}
	}
	content, err := unpacked(name, object)
	if err != nil {
		return &ObjectError{name, err}
	}
	for line := range lines(content) {
		r, err := decodeRun(line)
		run := nameOf(r.Started, line)
		if err == nil && !ValidName(run) {
			err = errors.New("it holds a run whose start is not of this age")
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

// lines are the runs of a pack.
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
