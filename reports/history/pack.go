package history

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"math"
)

// packer encodes a sequence of numbers and texts: numbers as varints, texts with their length first.
type packer struct{ b []byte }

func (p *packer) uint(v int)    { p.b = binary.AppendUvarint(p.b, uint64(v)) }
func (p *packer) int(v int64)   { p.b = binary.AppendVarint(p.b, v) }
func (p *packer) text(s string) { p.uint(len(s)); p.b = append(p.b, s...) }

// unpacker decodes the output of a packer. After an error it returns zero values.
type unpacker struct {
	b   []byte
	err error
}

var errPacked = errors.New("packed values end too early")

func (u *unpacker) fail() {
	u.b = nil
	if u.err == nil {
		u.err = errPacked
	}
}

// uint decodes a non-negative number that is a length or an index.
func (u *unpacker) uint() int {
	v, n := binary.Uvarint(u.b)
	if n <= 0 || v > math.MaxInt32 {
		u.fail()
		return 0
	}
	u.b = u.b[n:]
	return int(v)
}

func (u *unpacker) int() int64 {
	v, n := binary.Varint(u.b)
	if n <= 0 {
		u.fail()
		return 0
	}
	u.b = u.b[n:]
	return v
}

func (u *unpacker) bytes() []byte {
	n := u.uint()
	if n > len(u.b) {
		u.fail()
		return nil
	}
	b := u.b[:n]
	u.b = u.b[n:]
	return b
}

func (u *unpacker) text() string { return string(u.bytes()) }

// count decodes the number of following values, each of which has at least one byte.
func (u *unpacker) count() int {
	n := u.uint()
	if n > len(u.b) {
		u.fail()
		return 0
	}
	return n
}

// end returns the first error, or an error if bytes remain.
func (u *unpacker) end() error {
	if u.err == nil && len(u.b) > 0 {
		return fmt.Errorf("%d bytes follow the last packed value", len(u.b))
	}
	return u.err
}

// First byte of packed content.
const (
	stored   = 0
	deflated = 1
)

// deflater compresses content if that makes it smaller. It is not safe for concurrent use.
type deflater struct{ w *flate.Writer }

func (d *deflater) pack(content []byte) ([]byte, error) {
	if len(content) > maxInflated {
		return nil, errInflated
	}
	var out bytes.Buffer
	out.WriteByte(deflated)
	if d.w == nil {
		w, err := flate.NewWriter(&out, flate.DefaultCompression)
		if err != nil {
			return nil, err
		}
		d.w = w
	} else {
		d.w.Reset(&out)
	}
	if _, err := d.w.Write(content); err != nil {
		return nil, err
	}
	if err := d.w.Close(); err != nil {
		return nil, err
	}
	if out.Len() <= len(content) {
		return out.Bytes(), nil
	}
	return append([]byte{stored}, content...), nil
}

// maxInflated is the maximum uncompressed size of a value in bytes, so that a damaged value cannot
// exhaust memory.
const maxInflated = 1 << 28

var errInflated = fmt.Errorf("one value has more than %d MiB, which is the maximum", maxInflated>>20)

// inflater decompresses the output of deflater. Later calls do not change earlier results.
type inflater struct{ r io.ReadCloser }

func (i *inflater) unpack(packed []byte) ([]byte, error) {
	if len(packed) == 0 {
		return nil, errPacked
	}
	switch packed[0] {
	case stored:
		return packed[1:], nil
	case deflated:
	default:
		return nil, fmt.Errorf("packed values start with %d, which this version does not know", packed[0])
	}
	in := bytes.NewReader(packed[1:])
	if i.r == nil {
		i.r = flate.NewReader(in)
	} else if err := i.r.(flate.Resetter).Reset(in, nil); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Grow(4 * len(packed))
	if _, err := io.Copy(&out, io.LimitReader(i.r, maxInflated+1)); err != nil {
		return nil, err
	}
	if out.Len() > maxInflated {
		return nil, errInflated
	}
	return out.Bytes(), nil
}

var crcTable = crc64.MakeTable(crc64.ECMA)

// checksum returns the CRC-64 of the columns of a row. SQLite does not checksum its pages, so a
// flipped bit in the file would be a wrong value without an error.
func checksum(values ...any) int64 {
	var p packer
	for _, v := range values {
		switch v := v.(type) {
		case string:
			p.text(v)
		case []byte:
			p.uint(len(v))
			p.b = append(p.b, v...)
		case int:
			p.int(int64(v))
		case int64:
			p.int(v)
		case float64:
			p.int(int64(math.Float64bits(v)))
		default:
			p.text(fmt.Sprintf("%T %v", v, v))
		}
	}
	return int64(crc64.Checksum(p.b, crcTable))
}

// digest returns a truncated SHA-256 that identifies content.
func digest(content []byte) []byte {
	sum := sha256.Sum256(content)
	return sum[:len(sum)/2]
}
