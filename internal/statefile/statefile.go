// Package statefile keeps a small table in a file of one user: a JSON object a
// line, sorted, changed under a lock that all processes share, replaced whole
// and durably. Who can write such a file decides what is trusted, so one that
// others may write is refused, and a damaged one is never ignored.
package statefile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

const lockTimeout = 10 * time.Second

// maxSize of the file in bytes: some hundred thousand lines.
const maxSize = 32 << 20

// File is a file of lines of type L.
type File[L any] struct {
	path string
	key  func(L) (string, error)
}

// New returns the file at a path, which is made, with the directories above
// it, when something is written. Key returns what a line is found by, or why
// it is not valid.
func New[L any](path string, key func(L) (string, error)) *File[L] {
	return &File[L]{path, key}
}

// Path returns the file's path.
func (f *File[L]) Path() string { return f.path }

// Load returns the line of a key. Errors: ErrInvalidConfig where the file is
// damaged, or others may write it.
func (f *File[L]) Load(key string) (line L, found bool, err error) {
	dir, err := atomicfile.Open(filepath.Dir(f.path))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return line, false, nil
	}
	if err != nil {
		return line, false, f.fail(err)
	}
	defer dir.Close()
	lines, err := f.read(dir)
	if err != nil {
		return line, false, err
	}
	line, found = lines[key]
	return line, found, nil
}

// Update changes the line of a key to what change returns, or removes it where
// that is nil. Errors: ErrPermissionDenied where the file cannot be written,
// and those of Load.
func (f *File[L]) Update(key string, change func(old *L) *L) error {
	parent := filepath.Dir(f.path)
	if err := atomicfile.MakeDirs(parent); err != nil {
		return f.fail(err)
	}
	dir, err := atomicfile.Open(parent)
	if err != nil {
		return f.fail(err)
	}
	defer dir.Close()
	lock := atomicfile.NewLock("." + filepath.Base(f.path) + ".lock")
	defer lock.Close()
	// Who holds it writes a small file. Longer is a process that was stopped.
	ctx, cancel := context.WithTimeout(context.Background(), lockTimeout)
	defer cancel()
	if err := lock.Lock(ctx, nil, dir); err != nil {
		return f.fail(err)
	}
	defer lock.Unlock()
	lines, err := f.read(dir)
	if err != nil {
		return err
	}
	var old *L
	if line, found := lines[key]; found {
		old = &line
	}
	changed := change(old)
	if changed == nil {
		delete(lines, key)
	} else {
		lines[key] = *changed
	}
	staged, err := dir.Stage(encode(lines))
	if err != nil {
		return f.fail(err)
	}
	if err := staged.Commit(filepath.Base(f.path)); err != nil {
		return f.fail(err)
	}
	return f.fail(dir.Flush())
}

func (f *File[L]) read(dir *atomicfile.Dir) (map[string]L, error) {
	data, stat, err := dir.Read(filepath.Base(f.path), maxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return make(map[string]L), nil
	}
	if err != nil {
		return nil, f.fail(err)
	}
	for _, wrong := range []string{stat.Writable(), stat.ForeignOwner()} {
		if wrong != "" {
			return nil, f.invalid(wrong, atomicfile.Restrict(f.path))
		}
	}
	parent, err := dir.Stat()
	if err != nil {
		return nil, f.fail(err)
	}
	if wrong := parent.Writable(); wrong != "" {
		return nil, f.invalid("its directory has "+wrong, atomicfile.RestrictDir(filepath.Dir(f.path)))
	}
	lines, bad := f.decode(data)
	if bad != 0 {
		return nil, f.invalid(fmt.Sprintf("line %d is damaged", bad), "mend or remove the line; what it says is then learnt anew")
	}
	return lines, nil
}

// decode returns the lines, or the number of the first one that is not valid.
func (f *File[L]) decode(data []byte) (map[string]L, int) {
	lines := make(map[string]L)
	number := 0
	for text := range bytes.Lines(data) {
		number++
		var l L
		if json.Unmarshal(text, &l) != nil {
			return nil, number
		}
		key, err := f.key(l)
		// Only what would be written is read: encoding/json takes names twice
		// and in any case, of which the last would count.
		same := bytes.Equal(encode(map[string]L{key: l}), text)
		if _, twice := lines[key]; err != nil || twice || !same {
			return nil, number
		}
		lines[key] = l
	}
	return lines, 0
}

func encode[L any](lines map[string]L) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, key := range slices.Sorted(maps.Keys(lines)) {
		_ = e.Encode(lines[key]) // plain fields, into memory
	}
	return b.Bytes()
}

func (f *File[L]) invalid(message, hint string) error {
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: f.path + ": " + message, Hint: hint}
}

// fail says that nothing can be written down, or why it cannot be looked up.
func (f *File[L]) fail(err error) error {
	if err == nil {
		return nil
	}
	kind := nebula.ErrUnavailable
	if errors.Is(err, fs.ErrPermission) || atomicfile.IsReadOnly(err) || errors.Is(err, atomicfile.ErrNoLocks) {
		kind = nebula.ErrPermissionDenied
	}
	message := err.Error()
	var p *os.PathError
	if errors.As(err, &p) {
		message = p.Err.Error()
	}
	return &nebula.Error{Kind: kind, Message: f.path + ": " + message, Err: err}
}
