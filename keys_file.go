package nebula

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/seal"
)

// KeyFile is a [Key] in a file, see docs/format.md for its form. It is read
// when it is first needed. It must be a regular file, and no one but its owner
// may read or write it.
type KeyFile struct {
	Path string

	// AllowGroupRead accepts modes 0640 and 0440, as mounted secrets have them.
	AllowGroupRead bool

	// Optional says that a missing file is not an error but a key that is not
	// at hand.
	Optional bool

	mu     sync.Mutex
	secret []byte
}

// errNoDefaultFile says that a file is missing, and that nobody has named it.
var errNoDefaultFile = errors.New("no key file in its usual place")

// String names the file in messages.
func (k *KeyFile) String() string { return "the key file " + k.Path }

// Opens reports true for SlotKeyFile.
func (k *KeyFile) Opens(kind string) bool { return kind == SlotKeyFile }

// Secret returns the key in the file. Errors: ErrInvalidConfig if the file
// is missing, is not a key file, or has a mode that is too wide.
func (k *KeyFile) Secret(context.Context, Slot) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.secret == nil {
		secret, err := k.read()
		if err != nil {
			return nil, err
		}
		k.secret = secret[:]
	}
	return k.secret, nil
}

// NewSlot returns a slot of SlotKeyFile, if the file can be read.
func (k *KeyFile) NewSlot(ctx context.Context, id string, salt [16]byte) (Slot, []byte, error) {
	slot := Slot{ID: id, Kind: SlotKeyFile, Salt: salt}
	secret, err := k.Secret(ctx, slot)
	return slot, secret, err
}

func (k *KeyFile) read() (secret [seal.KeySize]byte, err error) {
	f, err := atomicfile.OpenPrivate(k.Path, k.AllowGroupRead)
	if k.Optional && errors.Is(err, os.ErrNotExist) {
		return secret, &Error{Kind: ErrUnauthenticated, Message: "there is no key file " + k.Path, Err: errors.Join(errNoDefaultFile, err)}
	}
	if err != nil {
		return secret, k.unusable(err)
	}
	defer f.Close()
	text := make([]byte, seal.KeyFileSize+1)
	defer clear(text)
	n, err := io.ReadFull(f, text)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return secret, k.unusable(err)
	}
	secret, err = seal.ParseKeyFile(text[:n])
	if err != nil {
		return secret, k.unusable(err)
	}
	return secret, nil
}

func (k *KeyFile) unusable(err error) error { return badKeyFile(fileKind(err), k.Path, err) }

func badKeyFile(kind Kind, path string, err error) error {
	reason, fix := atomicfile.Explain(path, err)
	return &Error{Kind: kind, Message: "key file " + path + ": " + reason, Hint: fix, Err: err}
}

// CreateKeyFile makes a key file with a new random key, mode 0600, which must
// not exist yet, and the directories above it. It returns when file and
// directory are on the disk.
func CreateKeyFile(path string) error {
	text := seal.FormatKeyFile(seal.GenerateKey().Secret())
	defer clear(text)
	if err := atomicfile.Create(path, text); err != nil {
		kind := fileKind(err)
		if errors.Is(err, os.ErrExist) {
			kind = ErrAlreadyExists
		}
		return badKeyFile(kind, path, err)
	}
	return nil
}

// fileKind returns the kind of the error if a file cannot be read or made. If
// permissions or space are the cause, it is not the fault of the person who
// named the file.
func fileKind(err error) Kind {
	switch {
	case errors.Is(err, os.ErrPermission), atomicfile.IsReadOnly(err):
		return ErrPermissionDenied
	case atomicfile.IsFull(err), atomicfile.IsTransient(err):
		return ErrUnavailable
	}
	return ErrInvalidConfig
}
