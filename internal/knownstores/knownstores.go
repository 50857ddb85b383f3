// Package knownstores remembers the data key of each store in a file of the
// user's state directory, as SSH does with the keys of hosts.
//
// The file known_stores has a line for each store:
//
//	{"address":"local:/home/ada/.local/share/nebula/credentials","key_id":"…","generation":3}
package knownstores

import (
	"errors"
	"path/filepath"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/statefile"
)

// File is the file in one directory. It implements [nebula.Pins].
type File struct{ lines *statefile.File[line] }

// New returns the file in a directory, which is made when something is to be
// remembered.
func New(dir string) *File {
	return &File{statefile.New(filepath.Join(dir, "known_stores"), line.key)}
}

type line struct {
	Address    string     `json:"address"`
	KeyID      string     `json:"key_id"`
	Generation uint64     `json:"generation"`
	SeenAt     *time.Time `json:"seen_at,omitempty"`
}

func (l line) key() (string, error) {
	if l.Address == "" {
		return "", errors.New("no address")
	}
	_, err := nebula.ParseKeyID(l.KeyID)
	return l.Address, err
}

func (l line) pin() nebula.Pin {
	id, _ := nebula.ParseKeyID(l.KeyID) // checked by key
	pin := nebula.Pin{KeyID: id, Generation: l.Generation}
	if l.SeenAt != nil {
		pin.SeenAt = *l.SeenAt
	}
	return pin
}

// Load implements [nebula.Pins].
func (f *File) Load(address string) (nebula.Pin, bool, error) {
	l, found, err := f.lines.Load(address)
	return l.pin(), found, err
}

// Update implements [nebula.Pins].
func (f *File) Update(address string, change func(nebula.Pin, bool) (nebula.Pin, bool)) error {
	return f.lines.Update(address, func(old *line) *line {
		var pin nebula.Pin
		if old != nil {
			pin = old.pin()
		}
		pin, keep := change(pin, old != nil)
		if !keep {
			return nil
		}
		changed := &line{Address: address, KeyID: pin.KeyID.String(), Generation: pin.Generation}
		if !pin.SeenAt.IsZero() {
			changed.SeenAt = &pin.SeenAt
		}
		return changed
	})
}
