package transfer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// Backup is an export that was read to its end and found whole. It keeps the ids
// and where their records are, and reads the records when they are asked for: the
// file must stay open.
type Backup struct {
	header  Header
	keyring *nebula.Envelope
	file    io.ReaderAt
	places  []place // by ascending bytes of the id
}

// place is where the line of a record is, without its end.
type place struct {
	id     nebula.ID
	offset int64
	length int
}

// OpenBackup reads an export of size bytes to its end and checks its form, its
// end and its hash. The hash finds accidental damage and a cut. It does not find
// a change by somebody who computed the hash anew: records are authenticated when
// they are opened, one by one, and nothing shows that one was left out or is
// older.
//
// Errors: ErrUsage if it is not an export; ErrCorrupted; ErrUnsupportedVersion
// if it has a newer form; those of the file.
func OpenBackup(file io.ReaderAt, size int64) (*Backup, error) {
	s := &scanner{in: bufio.NewReaderSize(io.NewSectionReader(file, 0, size), 64<<10), sum: sha256.New()}
	b := &Backup{file: file}
	if err := s.begin(b); err != nil {
		return nil, err
	}
	if err := s.records(b); err != nil {
		return nil, err
	}
	return b, nil
}

// Header returns the export's first line.
func (b *Backup) Header() Header { return b.header }

// Keyring returns the keyring's record, which has not been opened yet.
func (b *Backup) Keyring() *nebula.Envelope { return b.keyring }

// Len returns the number of records.
func (b *Backup) Len() int { return len(b.places) }

// IDs returns the ids in ascending order.
func (b *Backup) IDs() iter.Seq[nebula.ID] {
	return func(yield func(nebula.ID) bool) {
		for _, p := range b.places {
			if !yield(p.id) {
				return
			}
		}
	}
}

// Record reads the record of an id. Errors: ErrNotFound; ErrCorrupted and
// ErrUnsupportedVersion of [nebula.ParseEnvelope]; ErrConflict if the file was
// changed since it was opened; those of the file.
func (b *Backup) Record(id nebula.ID) (*nebula.Envelope, error) {
	at, found := b.find(id)
	if !found {
		return nil, &nebula.Error{Kind: nebula.ErrNotFound, ID: id, Message: "the export has no such credential"}
	}
	name, err := id.Name()
	if err != nil {
		return nil, err
	}
	line := make([]byte, at.length)
	if n, err := b.file.ReadAt(line, at.offset); n < len(line) {
		return nil, unreadableExport(err)
	}
	p := parseLine(nil, line)
	if p.kind != recordLine || p.id != id {
		return nil, &nebula.Error{Kind: nebula.ErrConflict, ID: id, Message: "the export was changed while it was read"}
	}
	return nebula.ParseEnvelope(name, p.record)
}

func (b *Backup) find(id nebula.ID) (place, bool) {
	i, found := slices.BinarySearchFunc(b.places, id, func(p place, id nebula.ID) int {
		return strings.Compare(string(p.id), string(id))
	})
	if !found {
		return place{}, false
	}
	return b.places[i], true
}

// scanner reads the lines of an export in order.
type scanner struct {
	in     *bufio.Reader
	sum    hash.Hash // of the lines before this one
	line   []byte    // with its end; valid until the next call
	number int       // of the line, from 1
	offset int64     // where the line begins
	record []byte    // memory for one record
}

// scan reads the next line.
func (s *scanner) scan() error {
	_, _ = s.sum.Write(s.line) // never fails
	s.offset += int64(len(s.line))
	s.line = s.line[:0]
	for {
		part, err := s.in.ReadSlice('\n')
		s.line = append(s.line, part...)
		switch {
		case len(s.line) > maxLine:
			return damagedLine(s.number + 1)
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF:
			return s.cutOff()
		case err != nil:
			return unreadableExport(err)
		}
		s.number++
		return nil
	}
}

// text returns the line without its end.
func (s *scanner) text() []byte { return s.line[:len(s.line)-1] }

// cutOff tells an export that ends too early from a file that never was one.
func (s *scanner) cutOff() error {
	if s.number == 0 && len(s.line) > 0 && !bytes.HasPrefix(s.line, []byte(firstBytes)) && !strings.HasPrefix(firstBytes, string(s.line)) {
		return notAnExport()
	}
	return &nebula.Error{Kind: nebula.ErrCorrupted, Hint: nothingStored,
		Message: fmt.Sprintf("the export was cut off: it has no end mark after line %d", s.number)}
}

// begin reads the first two lines.
func (s *scanner) begin(b *Backup) (err error) {
	if err = s.scan(); err != nil {
		return err
	}
	if b.header, err = parseHeader(s.text()); err != nil {
		return err
	}
	if err = s.scan(); err != nil {
		return err
	}
	raw, ok := parseKeyring(nil, s.text())
	if !ok {
		return damagedLine(s.number)
	}
	if b.keyring, err = nebula.ParseEnvelope(nebula.KeyringName(), raw); err != nil {
		return err
	}
	if b.keyring.KeyID() != b.header.KeyID {
		return damagedLine(1)
	}
	return nil
}

// records reads the others, and notes where the records are.
func (s *scanner) records(b *Backup) error {
	previous := nebula.ID("")
	for {
		if err := s.scan(); err != nil {
			return err
		}
		p := parseLine(s.record[:0], s.text())
		switch {
		case p.kind == endLine:
			return s.end(b, p)
		case p.kind != recordLine, p.id <= previous:
			return damagedLine(s.number)
		}
		b.places = append(b.places, place{p.id, s.offset, len(s.text())})
		previous, s.record = p.id, p.record
	}
}

// end checks the last line, and that it is the last one.
func (s *scanner) end(b *Backup, p parsed) error {
	if p.records != uint64(len(b.places)) || p.sum != hex.EncodeToString(s.sum.Sum(nil)) {
		return &nebula.Error{Kind: nebula.ErrCorrupted, Hint: nothingStored,
			Message: "the export is damaged: its records are not those that its end mark counts"}
	}
	switch _, err := s.in.ReadByte(); err {
	case io.EOF:
		return nil
	case nil:
		return &nebula.Error{Kind: nebula.ErrCorrupted, Hint: nothingStored, Message: "the export goes on after its end mark"}
	default:
		return unreadableExport(err)
	}
}

const nothingStored = "take another copy of it; nothing was stored"

func notAnExport() error {
	return &nebula.Error{Kind: nebula.ErrUsage, Message: "this is not a sealed export of nebula: it does not begin with " + firstBytes}
}

func newerExport(version uint64) error {
	return &nebula.Error{Kind: nebula.ErrUnsupportedVersion, Message: fmt.Sprintf("the export is of version %d", version),
		Hint: "it was written by a newer nebula: use that one"}
}

func damagedLine(number int) error {
	return &nebula.Error{Kind: nebula.ErrCorrupted, Hint: nothingStored, Message: fmt.Sprintf("line %d of the export is damaged", number)}
}

func unreadableExport(err error) error {
	if err == nil || err == io.EOF {
		return &nebula.Error{Kind: nebula.ErrConflict, Message: "the export became shorter while it was read"}
	}
	return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "the export cannot be read: " + atomicfile.Reason(err), Err: err}
}
