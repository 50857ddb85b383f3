// Package knownstores remembers the data key of each store in a file of the
// user's state directory, as SSH does with the keys of hosts.
//
// The file known_stores has a line for each store, a JSON object, sorted by
// address:
//
//	{"address":"local:/home/ada/.local/share/nebula/credentials","key_id":"…","generation":3}
package knownstores

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

const (
	fileName = "known_stores"
	lockName = ".known_stores.lock"
	maxSize  = 4 << 20 // of the file, in bytes: some ten thousand stores
)

// File is the file in one directory. It implements [nebula.Pins].
type File struct{ dir string }

// New returns the file in a directory, which is made when something is to be
// remembered.
func New(dir string) *File { return &File{dir} }

type line struct {
	Address    string `json:"address"`
	KeyID      string `json:"key_id"`
	Generation uint64 `json:"generation"`
}

// Load returns the pin of the store at an address. Errors: ErrInvalidConfig
// where the file is damaged, or others may write it.
func (f *File) Load(address string) (nebula.Pin, bool, error) {
	dir, err := atomicfile.Open(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nebula.Pin{}, false, nil
	}
	if err != nil {
		return nebula.Pin{}, false, f.fail(err)
	}
	defer dir.Close()
	pins, err := f.read(dir)
	if err != nil {
		return nebula.Pin{}, false, err
	}
	pin, found := pins[address]
	return pin, found, nil
}

// Update changes one pin under a lock that all processes share. Errors:
// ErrPermissionDenied where the file cannot be written, and those of Load.
func (f *File) Update(address string, change func(nebula.Pin, bool) (nebula.Pin, bool)) error {
	if err := atomicfile.MakeDirs(f.dir); err != nil {
		return f.fail(err)
	}
	dir, err := atomicfile.Open(f.dir)
	if err != nil {
		return f.fail(err)
	}
	defer dir.Close()
	lock := atomicfile.NewLock(lockName)
	defer lock.Close()
	if err := lock.Lock(context.Background(), nil, dir); err != nil {
		return f.fail(err)
	}
	defer lock.Unlock()
	pins, err := f.read(dir)
	if err != nil {
		return err
	}
	old, found := pins[address]
	pin, keep := change(old, found)
	switch {
	case keep == found && (!keep || pin == old):
		return nil
	case keep:
		pins[address] = pin
	default:
		delete(pins, address)
	}
	staged, err := dir.Stage(encode(pins))
	if err != nil {
		return f.fail(err)
	}
	if err := staged.Commit(fileName); err != nil {
		return f.fail(err)
	}
	return f.fail(dir.Flush())
}

func (f *File) read(dir *atomicfile.Dir) (map[string]nebula.Pin, error) {
	data, stat, err := dir.Read(fileName, maxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return make(map[string]nebula.Pin), nil
	}
	if err != nil {
		return nil, f.fail(err)
	}
	// Who can write the pins decides which key is trusted.
	for _, wrong := range []string{stat.Writable(), stat.ForeignOwner()} {
		if wrong != "" {
			return nil, f.invalid(wrong, "chmod 600 "+f.path())
		}
	}
	if stat, err := dir.Stat(); err != nil {
		return nil, f.fail(err)
	} else if wrong := stat.Writable(); wrong != "" {
		return nil, f.invalid("its directory has "+wrong, "chmod 700 "+f.dir)
	}
	pins, bad := decode(data)
	if bad != 0 {
		return nil, f.invalid(fmt.Sprintf("line %d is damaged", bad), "mend the line, or remove the file: the stores are then trusted anew when they are seen next")
	}
	return pins, nil
}

// decode returns the pins, or the number of the first line that is none.
func decode(data []byte) (map[string]nebula.Pin, int) {
	pins := make(map[string]nebula.Pin)
	number := 0
	for text := range bytes.Lines(data) {
		number++
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		var l line
		if d.Decode(&l) != nil || d.More() || l.Address == "" {
			return nil, number
		}
		id, err := nebula.ParseKeyID(l.KeyID)
		if _, twice := pins[l.Address]; err != nil || twice {
			return nil, number
		}
		pins[l.Address] = nebula.Pin{KeyID: id, Generation: l.Generation}
	}
	return pins, 0
}

func encode(pins map[string]nebula.Pin) []byte {
	lines := make([]line, 0, len(pins))
	for address, pin := range pins {
		lines = append(lines, line{address, pin.KeyID.String(), pin.Generation})
	}
	slices.SortFunc(lines, func(a, b line) int { return strings.Compare(a.Address, b.Address) })
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, l := range lines {
		_ = e.Encode(l) // strings and numbers only, into memory
	}
	return b.Bytes()
}

func (f *File) path() string { return filepath.Join(f.dir, fileName) }

func (f *File) invalid(message, hint string) error {
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: f.path() + ": " + message, Hint: hint}
}

// fail says that nothing can be remembered, or why it cannot be looked up.
func (f *File) fail(err error) error {
	if err == nil {
		return nil
	}
	kind := nebula.ErrUnavailable
	if errors.Is(err, fs.ErrPermission) || atomicfile.IsReadOnly(err) || errors.Is(err, atomicfile.ErrNoLocks) {
		kind = nebula.ErrPermissionDenied
	}
	var p *os.PathError
	message := err.Error()
	if errors.As(err, &p) {
		message = p.Err.Error()
	}
	return &nebula.Error{Kind: kind, Message: f.path() + ": " + message, Err: err}
}
