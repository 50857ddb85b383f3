package nebula

import (
	"errors"
	"time"

	"github.com/nebula-credential/nebula/internal/statefile"
)

// PinFile remembers the data key of each store in a file, as SSH does with the
// keys of hosts. It implements [Pins]. The file has a line for each store:
//
//	{"address":"local:/home/ada/.local/share/nebula/credentials","key_id":"…","generation":3,"seen_at":"…"}
//
// Several processes may use it. Errors: ErrInvalidConfig if it is damaged or
// others may write it, ErrPermissionDenied if it cannot be written.
type PinFile struct{ lines *statefile.File[pinLine] }

// NewPinFile returns the file at a path. The file is made, with the directories
// above it, when the first pin is written. The command uses known_stores in the
// user's state directory.
func NewPinFile(path string) *PinFile { return &PinFile{statefile.New(path, pinLine.key)} }

type pinLine struct {
	Address    string     `json:"address"`
	KeyID      string     `json:"key_id"`
	Generation uint64     `json:"generation"`
	SeenAt     *time.Time `json:"seen_at,omitempty"`
}

func (l pinLine) key() (string, error) {
	if l.Address == "" {
		return "", errors.New("no address")
	}
	_, err := ParseKeyID(l.KeyID)
	return l.Address, err
}

func (l pinLine) pin() Pin {
	id, _ := ParseKeyID(l.KeyID) // checked by key
	pin := Pin{KeyID: id, Generation: l.Generation}
	if l.SeenAt != nil {
		pin.SeenAt = *l.SeenAt
	}
	return pin
}

// Load implements [Pins].
func (f *PinFile) Load(address string) (Pin, bool, error) {
	l, found, err := f.lines.Load(address)
	return l.pin(), found, stateError(err)
}

// Update implements [Pins].
func (f *PinFile) Update(address string, change func(Pin, bool) (Pin, bool)) error {
	return stateError(f.lines.Update(address, func(old *pinLine) *pinLine {
		var pin Pin
		if old != nil {
			pin = old.pin()
		}
		pin, keep := change(pin, old != nil)
		if !keep {
			return nil
		}
		changed := &pinLine{Address: address, KeyID: pin.KeyID.String(), Generation: pin.Generation}
		if !pin.SeenAt.IsZero() {
			changed.SeenAt = &pin.SeenAt
		}
		return changed
	}))
}

// stateError gives a failure of a state file its kind.
func stateError(err error) error {
	var e *statefile.Error
	if !errors.As(err, &e) {
		return err
	}
	kind := ErrUnavailable
	switch {
	case errors.Is(e.Err, statefile.ErrInvalid):
		kind = ErrInvalidConfig
	case errors.Is(e.Err, statefile.ErrFull):
		kind = ErrUsage
	case e.IsDenied():
		kind = ErrPermissionDenied
	}
	return &Error{Kind: kind, Message: e.Error(), Hint: e.Hint, Err: e.Err}
}
