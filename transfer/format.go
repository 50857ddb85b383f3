package transfer

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/canon"
)

// An export is lines of canonical JSON, each with a line feed at its end:
//
//	{"nebula_export":1,"address":"…","key_id":"<32 hex>","created_at":"T"}
//	{"keyring":"<base64>"}
//	{"id":"…","record":"<base64>"}        by ascending bytes of the id
//	{"records":N,"sha256":"<64 hex>"}     of every byte before this line
const (
	formatVersion = 1
	firstBytes    = `{"nebula_export":`
)

// maxLine is the greatest length of a line: more than twice the largest record
// of any provider.
const maxLine = 64 << 20

// Header says where an export comes from. Nothing in it is authenticated.
type Header struct {
	Address   string       // of the store, for people
	KeyID     nebula.KeyID // of the data key
	CreatedAt time.Time
}

// writer writes the lines of an export.
type writer struct {
	out     io.Writer
	sum     hash.Hash
	line    []byte
	records uint64
}

func newWriter(out io.Writer) *writer { return &writer{out: out, sum: sha256.New()} }

func (w *writer) begin(h Header, keyring []byte) error {
	b := append(w.line[:0], firstBytes...)
	b = canon.AppendUint(b, formatVersion)
	b = append(b, `,"address":`...)
	b = canon.AppendString(b, printable(h.Address))
	b = append(b, `,"key_id":`...)
	b = canon.AppendString(b, h.KeyID.String())
	b = append(b, `,"created_at":"`...)
	b = canon.AppendTime(b, h.CreatedAt)
	if err := w.put(append(b, `"}`...)); err != nil {
		return err
	}
	b = append(w.line[:0], `{"keyring":`...)
	b = canon.AppendBase64(b, keyring)
	return w.put(append(b, '}'))
}

func (w *writer) record(id nebula.ID, record []byte) error {
	b := append(w.line[:0], `{"id":`...)
	b = canon.AppendString(b, string(id))
	b = append(b, `,"record":`...)
	b = canon.AppendBase64(b, record)
	w.records++
	return w.put(append(b, '}'))
}

func (w *writer) end() error {
	b := append(w.line[:0], `{"records":`...)
	b = canon.AppendUint(b, w.records)
	b = append(b, `,"sha256":`...)
	b = canon.AppendString(b, hex.EncodeToString(w.sum.Sum(nil)))
	return w.put(append(b, '}'))
}

// put writes a line and keeps its memory for the next one.
func (w *writer) put(line []byte) error {
	line = append(line, '\n')
	w.line = line
	_, _ = w.sum.Write(line) // never fails
	_, err := w.out.Write(line)
	return err
}

// printable makes an address a string of canonical JSON: a path may hold any
// bytes.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
}

// lineKind is the kind of a line after the first two.
type lineKind int

const (
	badLine lineKind = iota
	recordLine
	endLine
)

func parseHeader(line []byte) (Header, error) {
	r := canon.NewReader(line)
	r.Expect(firstBytes)
	if r.Failed() {
		return Header{}, notAnExport()
	}
	if version := r.Uint(1<<32 - 1); !r.Failed() && version > formatVersion {
		return Header{}, newerExport(version)
	} else if version == 0 {
		r.Fail()
	}
	var h Header
	r.Expect(`,"address":`)
	h.Address = r.String()
	r.Expect(`,"key_id":`)
	id, err := nebula.ParseKeyID(r.String())
	if err != nil {
		r.Fail()
	}
	h.KeyID = id
	r.Expect(`,"created_at":`)
	h.CreatedAt = r.Time()
	r.Expect(`}`)
	if !r.Done() {
		return Header{}, damagedLine(1)
	}
	return h, nil
}

// parseKeyring appends the keyring's bytes to dst.
func parseKeyring(dst, line []byte) ([]byte, bool) {
	r := canon.NewReader(line)
	r.Expect(`{"keyring":`)
	dst = r.Base64(dst)
	r.Expect(`}`)
	return dst, r.Done()
}

// parsed is a line after the first two.
type parsed struct {
	kind    lineKind
	id      nebula.ID
	record  []byte
	records uint64
	sum     string
}

// parseLine appends a record to dst. The result keeps the memory of dst.
func parseLine(dst, line []byte) (p parsed) {
	r := canon.NewReader(line)
	if r.Accept(`{"records":`) {
		p.kind = endLine
		p.records = r.Uint(1<<63 - 1)
		r.Expect(`,"sha256":`)
		p.sum = r.String()
	} else {
		p.kind = recordLine
		r.Expect(`{"id":`)
		p.id = nebula.ID(r.String())
		r.Expect(`,"record":`)
		p.record = r.Base64(dst)
		if _, err := p.id.Name(); err != nil {
			r.Fail()
		}
	}
	r.Expect(`}`)
	if !r.Done() {
		return parsed{}
	}
	return p
}
