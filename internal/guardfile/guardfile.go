// Package guardfile keeps the marks of a rollback guard in a file, a line for
// each credential:
//
//	{"address":"…","id":"…","last_modified":"…","record":"…","key_id":"…","mac":"…"}
//
// The file is written whole whenever a newer state of a credential is seen, so
// its cost grows with the number of credentials.
package guardfile

import (
	"encoding/hex"
	"errors"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/statefile"
)

// File implements [nebula.RollbackGuard].
type File struct{ lines *statefile.File[line] }

// New returns the guard at a path, which is made when something is marked.
func New(path string) *File { return &File{statefile.New(path, line.key)} }

type line struct {
	Address      string     `json:"address"`
	ID           string     `json:"id"`
	LastModified time.Time  `json:"last_modified"`
	LastAccessed *time.Time `json:"last_accessed,omitempty"`
	Record       string     `json:"record"` // SHA-256, hexadecimal
	KeyID        string     `json:"key_id"`
	MAC          string     `json:"mac"` // hexadecimal
}

func (l line) key() (string, error) {
	if _, err := nebula.ParseID(l.ID); err != nil {
		return "", err
	}
	_, err := l.mark()
	return key(l.Address, nebula.ID(l.ID)), err
}

// key joins what cannot be confused: an id holds no NUL.
func key(address string, id nebula.ID) string { return address + "\x00" + string(id) }

func (l line) mark() (nebula.Mark, error) {
	m := nebula.Mark{LastModified: l.LastModified}
	if l.LastAccessed != nil {
		m.LastAccessed = *l.LastAccessed
	}
	id, err := nebula.ParseKeyID(l.KeyID)
	m.KeyID = id
	return m, errors.Join(err, decode(m.Record[:], l.Record), decode(m.MAC[:], l.MAC))
}

func decode(dst []byte, text string) error {
	if hex.DecodedLen(len(text)) != len(dst) {
		return errors.New("wrong length")
	}
	_, err := hex.Decode(dst, []byte(text))
	return err
}

// Load implements [nebula.RollbackGuard].
func (f *File) Load(address string, id nebula.ID) (nebula.Mark, bool, error) {
	l, found, err := f.lines.Load(key(address, id))
	if err != nil || !found {
		return nebula.Mark{}, false, err
	}
	m, err := l.mark()
	return m, true, err
}

// Update implements [nebula.RollbackGuard].
func (f *File) Update(address string, id nebula.ID, change func(nebula.Mark, bool) nebula.Mark) error {
	return f.lines.Update(key(address, id), func(old *line) *line {
		var m nebula.Mark
		if old != nil {
			m, _ = old.mark() // checked when it was read
		}
		m = change(m, old != nil)
		changed := &line{
			Address:      address,
			ID:           string(id),
			LastModified: m.LastModified,
			Record:       hex.EncodeToString(m.Record[:]),
			KeyID:        m.KeyID.String(),
			MAC:          hex.EncodeToString(m.MAC[:]),
		}
		if !m.LastAccessed.IsZero() {
			changed.LastAccessed = &m.LastAccessed
		}
		return changed
	})
}
