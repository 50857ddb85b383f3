package transfer

import (
	"bytes"

	"github.com/nebula-credential/nebula"
)

// Rewrite writes a backup again from its parts.
func Rewrite(b *Backup) ([]byte, error) {
	var out bytes.Buffer
	w := newWriter(&out)
	if err := w.begin(b.header, b.keyring.Bytes()); err != nil {
		return nil, err
	}
	for _, p := range b.places {
		line := make([]byte, p.length)
		if _, err := b.file.ReadAt(line, p.offset); err != nil {
			return nil, err
		}
		if err := w.record(p.id, parseLine(nil, line).record); err != nil {
			return nil, err
		}
	}
	err := w.end()
	return out.Bytes(), err
}

// RecordLine is the line of a record.
func RecordLine(id nebula.ID, record []byte) []byte {
	var out bytes.Buffer
	_ = newWriter(&out).record(id, record)
	return out.Bytes()
}
