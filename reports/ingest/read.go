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
	"strings"
	"time"

	"github.com/flujo/flujo-harness/reports"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Reading is what one file of results says.
type Reading struct {
	Format     string // name of one of [Formats]
	Digest     string // SHA-256 of the file, unpacked, in hex: the same for x.xml and x.xml.gz
	Results    *reports.Results
	Benchmarks []reports.Benchmark // of a file of benchmarks, which has no specs

	Started time.Time     // zero where the file does not say
	Took    time.Duration // of the run, 0 where the file does not say
	NoZone  bool          // Started is of a clock whose zone the file does not say: it is taken as UTC
	Commit  string        // "" where the file does not say
	Branch  string        // likewise
	Build   string        // name or number of the CI job, likewise

	Notes []string // what the reader passed over or decided, for people
}

// Bounds on what one file may cost. A file of 64 MiB stays below all of them.
const (
	maxUnpacked = 1 << 30   // bytes of a file, unpacked
	maxValue    = 32 << 20  // bytes of one spec in it
	maxKept     = 256 << 20 // bytes of texts kept of it
	maxSpecs    = 1_000_000
)

// Read reads results of any format that the package knows, plain or packed by gzip,
// in UTF-8 or, with a byte order mark, UTF-16. The format is told by the content.
// Paths below root, the folder of the module, are made relative to it; an empty root
// leaves them as they are. The file is read as a stream: memory goes with the number
// of specs and what failed in them, not with the size of the file.
//
// Input that is not a complete, consistent file of results is a [*FormatError]. Runs
// that were cut short are read where the format can say what is missing: then the
// results carry a [SuiteFailure].
func Read(r io.Reader, root string) (*Reading, error) {
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
	if err := reports.CheckCommit(strings.ToLower(reading.Commit)); err != nil {
		c.note("its commit is left out: %v", err)
		reading.Commit = ""
	}
	reading.Commit = strings.ToLower(reading.Commit)
	return reading, nil
}

// ReadFile is [Read] for a file; errors name it.
func ReadFile(path, root string) (*Reading, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &FormatError{File: path, Err: err, Next: "name a file that is there and may be read"}
	}
	defer f.Close()
	reading, err := Read(f, root)
	if format := (*FormatError)(nil); errors.As(err, &format) {
		format.File = path
	}
	return reading, err
}

// ErrEmpty is a file with nothing in it.
var ErrEmpty = errors.New("the file is empty")

// ErrUnknownFormat is a file of no format that [Read] knows.
var ErrUnknownFormat error = unknownFormat{}

// unknownFormat makes its text when it is asked for, since the readers in the table of
// formats refer to the error.
type unknownFormat struct{}

func (unknownFormat) Error() string { return "it is none of " + FormatNames("and") }

// ErrNoSpecs is a file of results without a single spec: never "0 of 0 passed".
var ErrNoSpecs = errors.New("there is no spec in it")

// ErrTooBig is a file beyond the bounds of the reader.
var ErrTooBig = errors.New("it is too big")

// FormatError is a file of results that cannot be taken at its word: empty, cut
// short, of another format, or at odds with itself.
type FormatError struct {
	File   string // "" where what was read has no name
	Format string // as in [Reading]; "" where it could not be told
	Line   int    // from 1; 0 where there is none to name
	Offset int64  // in bytes of the unpacked file, where there is no line
	Suite  string // path of the suite, where one was reached
	Err    error
	Next   string // what to do; "" is to run the suites again
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

// input is the unpacked text of a file, measured while it passes.
type input struct {
	*bufio.Reader
	meter *meter
}

// meter counts and digests what passes, and stops at a bound.
type meter struct {
	r     io.Reader
	sum   hash.Hash
	n     int64 // bytes passed
	allow int64 // the most bytes to pass, for now
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

// unpack undoes gzip and UTF-16, which the first bytes tell.
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

// gunzip says of its errors that they are the packing's.
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

// drained reads what a reader has left over, so that the digest is of the whole file.
func (in *input) drained() error {
	_, err := io.Copy(io.Discard, in.Reader)
	return err
}

func (in *input) digest() string { return hex.EncodeToString(in.meter.sum.Sum(nil)) }

// cutShort says what an unexpected end means.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("it is cut short: %w", io.ErrUnexpectedEOF)
	}
	return err
}

func newBuffer(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, 64<<10) }
