// Package statefile keeps a small table in a file of one user: one JSON object
// per line, sorted. All processes share a lock to change it, and replace the
// whole file durably. Anyone who can write such a file decides what is trusted.
// So a file that others may write is refused, and a damaged one is an error.
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
	"sync/atomic"
	"time"

	"github.com/nebula-credential/nebula/internal/atomicfile"
)

const lockTimeout = 10 * time.Second

// MaxSize is the default limit of a file in bytes: about a hundred thousand lines
// with long addresses. A larger file is not written.
const MaxSize = 128 << 20

// reserve is the part of MaxSize, in bytes, that CheckRoom keeps free: several
// processes may check at the same time and then add their lines.
const reserve = 1 << 20

// The causes of failures that do not come from the file system.
var (
	ErrInvalid = errors.New("the file is not valid, or others may write it")
	ErrFull    = errors.New("the file is full")
)

// Error is the failure to use a file. Err is ErrInvalid, ErrFull or an error of
// the file system.
type Error struct {
	Path    string
	Message string
	Hint    string // what to do about it; may be ""
	Err     error
}

func (e *Error) Error() string { return e.Path + ": " + e.Message }
func (e *Error) Unwrap() error { return e.Err }

// IsDenied reports whether the user has no permission to write the file, or the
// file system is read-only.
func (e *Error) IsDenied() bool {
	return errors.Is(e.Err, fs.ErrPermission) || atomicfile.IsReadOnly(e.Err) || errors.Is(e.Err, atomicfile.ErrNoLocks)
}

// File is a file of lines of type L.
type File[L any] struct {
	path string
	key  func(L) (string, error)

	// Expired reports whether an Update drops a line. nil: it drops none.
	Expired func(L) bool

	// Private says that others may not read the file either.
	Private bool

	// GroupReads says that the group of a private file may.
	GroupReads bool

	// Mend says what to do about a damaged line.
	Mend string

	// MaxSize is its limit in bytes.
	MaxSize int64

	last    atomic.Pointer[Snapshot[L]]
	loads   rounds[L]
	updates rounds[L]
}

// New returns the file at a path. The first write makes it, and the directories
// above it. key returns the key of a line, or an error if the line is not valid.
func New[L any](path string, key func(L) (string, error)) *File[L] {
	return &File[L]{path: path, key: key, MaxSize: MaxSize,
		Mend: "mend or remove the line; what it says is then learnt anew"}
}

// LockName returns the name of a file's lock, which is in the same directory.
func LockName(file string) string { return "." + file + ".lock" }

// Path returns the file's path.
func (f *File[L]) Path() string { return f.path }

// Load returns the line of a key. All errors are of type [*Error].
func (f *File[L]) Load(key string) (line L, found bool, err error) {
	s, err := f.shared()
	if err != nil {
		return line, false, err
	}
	line, found = s.Lines[key]
	return line, found, nil
}

// CheckRoom fails with ErrFull if the key has no line and no line can be added,
// because there are maxLines or the file is too large.
func (f *File[L]) CheckRoom(key string, maxLines int) error {
	s, err := f.shared()
	if err != nil {
		return err
	}
	if _, found := s.Lines[key]; found {
		return nil
	}
	count := len(s.Lines)
	if f.Expired != nil && count >= maxLines {
		for _, l := range s.Lines {
			if f.Expired(l) {
				count--
			}
		}
	}
	if count >= maxLines || s.stat.Size > f.MaxSize-reserve {
		return &Error{Path: f.path, Message: fmt.Sprintf("it holds %d lines in %d bytes, and is full", count, s.stat.Size), Err: ErrFull}
	}
	return nil
}

// Update replaces the line of a key by the result of change, or removes it if
// that is nil. All errors are of type [*Error].
//
// The file is written once for all changes that wait for each other, and change may
// be called by another goroutine, and again if they do not fit together.
func (f *File[L]) Update(key string, change func(old *L) *L) error {
	u := &update[L]{key: key, change: change}
	f.updates.join(u, func(r *round[L]) {
		err := f.updateAll(r.updates)
		for _, u := range r.updates {
			if u.err = err; len(r.updates) > 1 && errors.Is(err, ErrFull) {
				u.err = f.updateAll([]*update[L]{u})
			}
		}
	})
	return u.err
}

func (f *File[L]) updateAll(updates []*update[L]) error {
	parent := filepath.Dir(f.path)
	if err := atomicfile.MakeDirs(parent); err != nil {
		return f.fail(err)
	}
	dir, err := atomicfile.Open(parent)
	if err != nil {
		return f.fail(err)
	}
	defer dir.Close()
	lock := atomicfile.NewLock(LockName(filepath.Base(f.path)))
	defer lock.Close()
	// A process holds the lock while it writes one file. If it takes longer, that
	// process was stopped.
	ctx, cancel := context.WithTimeout(context.Background(), lockTimeout)
	defer cancel()
	if err := lock.Lock(ctx, nil, dir); err != nil {
		return f.fail(err)
	}
	defer lock.Unlock()
	lines, err := f.lines(dir)
	if err != nil {
		return err
	}
	f.apply(lines, updates)
	data := encode(lines)
	if int64(len(data)) > f.MaxSize {
		return &Error{Path: f.path, Message: fmt.Sprintf("it would have %d bytes, %d is the limit", len(data), f.MaxSize), Err: ErrFull}
	}
	staged, err := dir.Stage(data)
	if err != nil {
		return f.fail(err)
	}
	if err := staged.Commit(filepath.Base(f.path)); err != nil {
		return f.fail(err)
	}
	return f.fail(dir.Flush())
}

// apply makes the changes, one after the other, and drops the other lines that have
// expired.
func (f *File[L]) apply(lines map[string]L, updates []*update[L]) {
	if f.Expired != nil {
		changing := make(map[string]bool, len(updates))
		for _, u := range updates {
			changing[u.key] = true
		}
		maps.DeleteFunc(lines, func(key string, l L) bool { return !changing[key] && f.Expired(l) })
	}
	for _, u := range updates {
		var old *L
		if line, found := lines[u.key]; found {
			old = &line
		}
		if changed := u.change(old); changed != nil {
			lines[u.key] = *changed
		} else {
			delete(lines, u.key)
		}
	}
}

// lines returns the lines of the file, for a change.
func (f *File[L]) lines(dir *atomicfile.Dir) (map[string]L, error) {
	data, _, err := f.read(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return make(map[string]L), nil
	}
	if err != nil {
		return nil, err
	}
	return f.decode(data)
}

// read returns the content of the file, if only those have access to it who may.
// The error is fs.ErrNotExist if there is no file.
func (f *File[L]) read(dir *atomicfile.Dir) ([]byte, atomicfile.Stat, error) {
	data, stat, err := dir.Read(filepath.Base(f.path), f.MaxSize)
	if err != nil {
		return nil, stat, f.fail(err)
	}
	wide := stat.Writable()
	switch {
	case f.Private && f.GroupReads:
		wide = stat.TooWideForGroup()
	case f.Private:
		wide = stat.TooWide()
	}
	for _, wrong := range []string{wide, stat.ForeignOwner()} {
		if wrong != "" {
			return nil, stat, f.invalid(wrong, atomicfile.Restrict(f.path))
		}
	}
	parent, err := dir.Stat()
	if err != nil {
		return nil, stat, f.fail(err)
	}
	if wrong := parent.Writable(); wrong != "" {
		return nil, stat, f.invalid("its directory has "+wrong, atomicfile.RestrictDir(filepath.Dir(f.path)))
	}
	return data, stat, nil
}

// decode returns the lines, or an error that names the first one that is not valid.
func (f *File[L]) decode(data []byte) (map[string]L, error) {
	lines := make(map[string]L)
	number := 0
	var written bytes.Buffer
	encoder := newEncoder(&written)
	for text := range bytes.Lines(data) {
		number++
		var l L
		if json.Unmarshal(text, &l) != nil {
			return nil, f.damaged(number)
		}
		key, err := f.key(l)
		// Accept only what Update would write: encoding/json accepts repeated
		// names and names in any case, and the last one would count.
		written.Reset()
		_ = encoder.Encode(l)
		same := bytes.Equal(written.Bytes(), text)
		if _, twice := lines[key]; err != nil || twice || !same {
			return nil, f.damaged(number)
		}
		lines[key] = l
	}
	return lines, nil
}

func (f *File[L]) damaged(number int) error {
	return f.invalid(fmt.Sprintf("line %d is damaged", number), f.Mend)
}

func newEncoder(b *bytes.Buffer) *json.Encoder {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	return e
}

func encode[L any](lines map[string]L) []byte {
	var b bytes.Buffer
	e := newEncoder(&b)
	for _, key := range slices.Sorted(maps.Keys(lines)) {
		_ = e.Encode(lines[key]) // plain fields, into memory
	}
	return b.Bytes()
}

func (f *File[L]) invalid(message, hint string) error {
	return &Error{Path: f.path, Message: message, Hint: hint, Err: ErrInvalid}
}

// fail returns the error of a failed read or write.
func (f *File[L]) fail(err error) error {
	if err == nil {
		return nil
	}
	message := err.Error()
	var p *os.PathError
	if errors.As(err, &p) {
		message = p.Err.Error()
	}
	return &Error{Path: f.path, Message: message, Err: err}
}
