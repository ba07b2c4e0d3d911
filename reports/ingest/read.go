package ingest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Reading is the content of one file of results.
type Reading struct {
	Format     string // name of one of [Formats]
	Digest     string // SHA-256 of the unpacked file, in hex: equal for x.xml and x.xml.gz
	Results    *reports.Results
	Benchmarks []reports.Benchmark // of a file of benchmarks, which has no specs

	// Zero values if the file does not contain them.
	Started time.Time
	Took    time.Duration // duration of the run
	NoZone  bool          // the file does not state the time zone of Started, so UTC is assumed
	Commit  string
	Branch  string
	Build   string // name or number of the CI job

	Notes []string // what the reader ignored or assumed, for users
}

// Limits of the resources that one file may use. A file of 64 MiB stays below all of them.
const (
	maxUnpacked = 1 << 30   // bytes of the unpacked file
	maxValue    = 32 << 20  // bytes of one spec
	maxKept     = 256 << 20 // bytes of texts that are kept
	maxSpecs    = 1_000_000
)

// Read reads results in any of [Formats], uncompressed or compressed by gzip, in UTF-8 or, with a
// byte order mark, UTF-16. It recognises the format by the content. Paths below root, the folder
// of the module, become relative to it; if root is empty, they stay unchanged. The file is read as
// a stream: the memory needed depends on the number of specs and on the texts of failures, not on
// the size of the file. Attachments become paths below root and addresses of the web; no attached
// file is read.
//
// Input that is not a complete and consistent file of results is a [*FormatError]. The results of
// an interrupted run are accepted if the format shows what is missing; they then contain a
// [reports.SuiteFailure].
func Read(r io.Reader, root string) (*Reading, error) { return readFrom(r, root, "") }

// readFrom is [Read] for a file in a folder, "" if it is unknown.
func readFrom(r io.Reader, root, folder string) (*Reading, error) {
	in, err := unpack(r)
	if err != nil {
		return nil, err
	}
	format, err := in.detect()
	if err != nil {
		return nil, err
	}
	reading := &Reading{Format: format.Name, Results: &reports.Results{}}
	c := newCollector(reading, root)
	defer c.files.close()
	if folder != "" {
		c.files.from(root, folder)
	}
	err = format.read(in, c)
	if err == nil {
		err = in.drained()
	}
	if err == nil && reading.Results.Empty() && len(reading.Benchmarks) == 0 {
		err = ErrNoSpecs
	}
	if err != nil {
		f := &FormatError{Format: format.Name, Err: err}
		if inner := (*FormatError)(nil); errors.As(err, &inner) {
			f = inner
		}
		return nil, f
	}
	reading.Digest = in.digest()
	c.noteAttachments()
	if err := reports.CheckCommit(strings.ToLower(reading.Commit)); err != nil {
		c.note("its commit is left out: %v", err)
		reading.Commit = ""
	}
	reading.Commit = strings.ToLower(reading.Commit)
	return reading, nil
}

// ReadFile reads a file with [Read]. Errors contain its name.
func ReadFile(path, root string) (*Reading, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &FormatError{File: path, Err: err, Next: "name an existing file that may be read"}
	}
	defer f.Close()
	reading, err := readFrom(f, root, filepath.Dir(path))
	if format := (*FormatError)(nil); errors.As(err, &format) {
		format.File = path
	}
	return reading, err
}

// ErrEmpty reports an empty file.
var ErrEmpty = errors.New("the file is empty")

// ErrUnknownFormat reports a file in none of [Formats].
var ErrUnknownFormat error = unknownFormat{}

// unknownFormat computes its text lazily: the table of formats, whose names the text lists, refers
// to readers that refer to this error.
type unknownFormat struct{}

func (unknownFormat) Error() string { return "it is none of " + formatNames() }

// ErrNoSpecs reports a file of results without any spec, which must not count as "0 of 0 passed".
var ErrNoSpecs = errors.New("there is no spec in it")

// ErrTooBig reports a file that exceeds a limit of the reader.
var ErrTooBig = errors.New("it is too big")

// FormatError reports a file of results that cannot be trusted: it is empty, incomplete, in
// another format, or contradicts itself.
type FormatError struct {
	File   string // "" if the input has no name
	Format string // as in [Reading]; "" if it was not recognised
	Line   int    // from 1; 0 if unknown
	Offset int64  // in bytes of the unpacked file, if Line is unknown
	Suite  string // path of the suite that was being read, if any
	Err    error
	Next   string // what the user should do; "" means to run the suites again
}

func (e *FormatError) Error() string {
	what := e.Format
	if what == "" {
		what = "results"
	}
	if e.File != "" {
		what = e.File + " (" + what + ")"
	}
	switch {
	case e.Line > 0:
		what += fmt.Sprintf(", line %d", e.Line)
	case e.Offset > 0:
		what += fmt.Sprintf(", byte %d", e.Offset)
	}
	if e.Suite != "" {
		what += fmt.Sprintf(" in suite %q", e.Suite)
	}
	next := e.Next
	if next == "" {
		next = "run the suites again and let them finish"
	}
	return reports.Visible(fmt.Sprintf("read %s: %v: no result was taken from it; %s", what, e.Err, next))
}

func (e *FormatError) Unwrap() error { return e.Err }

// input is the unpacked text of a file, which is measured while it is read.
type input struct {
	*bufio.Reader
	meter *meter
}

// meter counts and hashes the bytes that are read, and fails at a limit.
type meter struct {
	r     io.Reader
	sum   hash.Hash
	n     int64 // bytes read
	allow int64 // current limit of n; values that are read in one piece lower it
}

func (m *meter) Read(p []byte) (int, error) {
	switch {
	case m.n >= maxUnpacked:
		return 0, fmt.Errorf("%w: more than %d MiB", ErrTooBig, maxUnpacked>>20)
	case m.n >= m.allow:
		return 0, fmt.Errorf("%w: one value of more than %d MiB", ErrTooBig, maxValue>>20)
	}
	n, err := m.r.Read(p)
	m.sum.Write(p[:n])
	m.n += int64(n)
	return n, err
}

// unpack decodes gzip and UTF-16, which it recognises by the first bytes.
func unpack(r io.Reader) (*input, error) {
	packed := newBuffer(r)
	if head, _ := packed.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(packed)
		if err != nil {
			return nil, &FormatError{Err: packedError(err)}
		}
		r = gunzip{z}
	} else {
		r = packed
	}
	m := &meter{r: r, sum: sha256.New(), allow: maxUnpacked}
	plain := transform.NewReader(m, unicode.BOMOverride(transform.Nop))
	return &input{newBuffer(plain), m}, nil
}

// gunzip wraps errors of the compression, to distinguish them from errors of the content.
type gunzip struct{ z *gzip.Reader }

func (g gunzip) Read(p []byte) (int, error) {
	n, err := g.z.Read(p)
	if err != nil && err != io.EOF {
		err = packedError(err)
	}
	return n, err
}

func packedError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the gzip file is cut short: %w", io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("the gzip file is damaged: %w", err)
}

// drained reads the rest of the file, so that the digest is that of the whole file.
func (in *input) drained() error {
	_, err := io.Copy(io.Discard, in.Reader)
	return err
}

func (in *input) digest() string { return hex.EncodeToString(in.meter.sum.Sum(nil)) }

// cutShort explains an unexpected end of the file.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("it is cut short: %w", io.ErrUnexpectedEOF)
	}
	return err
}

func newBuffer(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, 64<<10) }
