package nebula

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/nebula-credential/nebula/internal/statefile"
)

// maxMarks is the number of marks that a file holds at most. The file is
// written whole for each new state: with more marks, that would take seconds.
const maxMarks = 100_000

// GuardFile keeps the marks of a rollback guard in a file. It implements
// [RollbackGuard]. The file has a line for each credential:
//
//	{"address":"…","id":"…","last_modified":"…","record":"…","key_id":"…","mac":"…"}
//
// Several processes may use it, for several stores. It holds at most 100,000
// marks. Errors: ErrInvalidConfig if it is damaged or others may write it,
// ErrPermissionDenied if it cannot be written.
type GuardFile struct {
	lines    *statefile.File[markLine]
	path     string
	maxMarks int
	now      func() time.Time // tests set it
}

// NewGuardFile returns the guard at a path. The file is made, with the
// directories above it, when something is marked. It must not lie within the
// store that it guards: anyone who put back a copy of the store would put back
// the guard too.
func NewGuardFile(path string) *GuardFile {
	f := &GuardFile{lines: statefile.New(path, markLine.key), path: path, maxMarks: maxMarks, now: time.Now}
	f.lines.Expired = func(l markLine) bool { return l.DeletedAt != nil && f.now().Sub(*l.DeletedAt) > MarkRetention }
	return f
}

type markLine struct {
	Address      string     `json:"address"`
	ID           string     `json:"id"`
	LastModified time.Time  `json:"last_modified"`
	LastAccessed *time.Time `json:"last_accessed,omitempty"`
	Record       string     `json:"record"` // hexadecimal
	KeyID        string     `json:"key_id"`
	MAC          string     `json:"mac"` // hexadecimal
	DeletedAt    *time.Time `json:"deleted_at,omitempty"`
}

func (l markLine) key() (string, error) {
	if _, err := ParseID(l.ID); err != nil {
		return "", err
	}
	_, err := l.mark()
	return markKey(l.Address, ID(l.ID)), err
}

// markKey joins address and id. No two pairs give the same key, since an id
// holds no NUL.
func markKey(address string, id ID) string { return address + "\x00" + string(id) }

func (l markLine) mark() (Mark, error) {
	m := Mark{LastModified: l.LastModified}
	if l.LastAccessed != nil {
		m.LastAccessed = *l.LastAccessed
	}
	if l.DeletedAt != nil {
		m.DeletedAt = *l.DeletedAt
	}
	id, err := ParseKeyID(l.KeyID)
	m.KeyID = id
	return m, errors.Join(err, decodeHex(m.Record[:], l.Record), decodeHex(m.MAC[:], l.MAC))
}

func decodeHex(dst []byte, text string) error {
	if hex.DecodedLen(len(text)) != len(dst) {
		return errors.New("wrong length")
	}
	_, err := hex.Decode(dst, []byte(text))
	return err
}

func lineOf(address string, id ID, m Mark) *markLine {
	l := &markLine{
		Address:      address,
		ID:           string(id),
		LastModified: m.LastModified,
		Record:       hex.EncodeToString(m.Record[:]),
		KeyID:        m.KeyID.String(),
		MAC:          hex.EncodeToString(m.MAC[:]),
	}
	if !m.LastAccessed.IsZero() {
		l.LastAccessed = &m.LastAccessed
	}
	if !m.DeletedAt.IsZero() {
		l.DeletedAt = &m.DeletedAt
	}
	return l
}

// Load implements [RollbackGuard].
func (f *GuardFile) Load(address string, id ID) (Mark, bool, error) {
	l, found, err := f.lines.Load(markKey(address, id))
	if err != nil || !found {
		return Mark{}, false, stateError(err)
	}
	m, err := l.mark()
	return m, true, err
}

// Update implements [RollbackGuard]. The file is written once for all updates that
// wait for each other.
func (f *GuardFile) Update(address string, id ID, change func(Mark, bool) (Mark, bool)) error {
	return stateError(f.lines.Update(markKey(address, id), func(old *markLine) *markLine {
		var m Mark
		if old != nil {
			m, _ = old.mark() // checked when it was read
		}
		m, keep := change(m, old != nil)
		if !keep {
			return nil
		}
		return lineOf(address, id, m)
	}))
}

// CheckRoom implements [RollbackGuard].
func (f *GuardFile) CheckRoom(address string, id ID) error {
	err := f.lines.CheckRoom(markKey(address, id), f.maxMarks)
	if errors.Is(err, statefile.ErrFull) {
		return &Error{Kind: ErrUsage, Err: err,
			Message: fmt.Sprintf("the rollback guard %s is full: it holds the marks of %d credentials at most", f.path, f.maxMarks),
			Hint:    "use another file for some of the stores; or remove from it the lines of credentials that are gone for good"}
	}
	return stateError(err)
}
