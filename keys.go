package nebula

import (
	"context"
	"crypto/fips140"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/seal"
)

// MinPassphraseLength is the number of characters that a new passphrase has at
// least, unless weak ones are allowed.
const MinPassphraseLength = 12

// Kinds of slots that this package makes.
const (
	SlotArgon2id = "argon2id"      // passphrase
	SlotPBKDF2   = "pbkdf2-sha256" // passphrase, for FIPS mode
	SlotKeyFile  = "key-file"
)

// What a new passphrase slot costs to open: the second choice of RFC 9106,
// section 4, and the floor of OWASP for PBKDF2-HMAC-SHA-256.
const (
	argonMemory = 64 << 10 // KiB
	argonPasses = 3
	argonLanes  = 4
	pbkdfRounds = 600_000
)

// KeyID identifies a data key and discloses nothing of it.
type KeyID [16]byte

// String returns 32 lower-case hexadecimal digits.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// Slot describes one way to open a keyring. Memory (KiB), Passes and Lanes are
// the cost of Argon2id, Passes alone the rounds of PBKDF2; they are zero for
// other kinds.
type Slot struct {
	ID     string // 8 characters of a-z2-7, given when the slot is made
	Kind   string
	Salt   [16]byte
	Memory uint32
	Passes uint32
	Lanes  uint32
	Data   []byte // of kinds that keep something in the slot; nil otherwise
}

// Key is what a user holds and opens a store with: a passphrase, a key file,
// or a service that guards a key.
type Key interface {
	// Opens reports whether slots of that kind are opened with such a key.
	Opens(kind string) bool

	// Secret returns the 32 bytes under which the slot's copy of the data key
	// is wrapped. Whether they are right shows when it is unwrapped. An error
	// of kind ErrUnauthenticated says that the key is not at hand, and others
	// are tried. It may be called often: costly secrets are to be kept. The
	// slice stays the key's and is not changed.
	Secret(ctx context.Context, slot Slot) ([]byte, error)

	// NewSlot returns a slot for this key, without id; salt is a fresh one.
	NewSlot(ctx context.Context, salt [16]byte) (Slot, error)
}

// Passphrase is a [Key] that is typed or read. It is asked for once, when it
// is first needed, and derived once for each slot.
type Passphrase struct {
	// Source returns the passphrase, UTF-8, in any normalisation. It is wiped
	// after use.
	Source func(context.Context) ([]byte, error)

	// Name says in messages where it comes from.
	Name string

	// Tries is how often Source is asked, at most, while what it returned opens
	// no slot; 0 is once. It is for a person, who may mistype.
	Tries int

	// AllowWeak lets a new slot have fewer than MinPassphraseLength characters.
	AllowWeak bool

	// KDF is the kind of a new slot, SlotArgon2id or SlotPBKDF2. If it is
	// empty it is the first, and in FIPS mode the second.
	KDF string

	mu         sync.Mutex
	normalised []byte
	derived    map[seal.Params][]byte
	asked      int // times that Source was
}

// String names the passphrase in messages, and says nothing of it.
func (p *Passphrase) String() string {
	name := "the passphrase"
	if p.Name != "" {
		name += " of " + p.Name
	}
	if p.Tries > 1 {
		name += fmt.Sprintf(" (try %d of %d)", p.asked, p.Tries)
	}
	return name
}

// again forgets a passphrase that opened none of these slots, and reports
// whether Source may be asked for another one.
func (p *Passphrase) again(closed []Slot) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.normalised == nil || p.asked >= p.Tries {
		return false
	}
	clear(p.normalised)
	p.normalised = nil
	for _, slot := range closed {
		params := slot.seal().Params
		clear(p.derived[params])
		delete(p.derived, params)
	}
	return true
}

// Opens reports true for the two kinds of passphrase.
func (p *Passphrase) Opens(kind string) bool { return kind == SlotArgon2id || kind == SlotPBKDF2 }

// Secret derives the slot's secret.
func (p *Passphrase) Secret(ctx context.Context, slot Slot) ([]byte, error) {
	params := slot.seal().Params
	if err := params.Check(); err != nil {
		return nil, &Error{Kind: ErrCorrupted, Message: err.Error()}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if secret, ok := p.derived[params]; ok {
		return secret, nil
	}
	if err := p.ask(ctx); err != nil {
		return nil, err
	}
	secret, err := seal.DeriveSecret(params, p.normalised)
	if errors.Is(err, seal.ErrFIPS) {
		return nil, &Error{Kind: ErrNotSupported, Message: err.Error(), Err: err,
			Hint: "use a slot that works here; outside FIPS mode one is added with: nebula key add --passphrase --kdf pbkdf2-sha256"}
	}
	if err != nil {
		return nil, err
	}
	if p.derived == nil {
		p.derived = make(map[seal.Params][]byte)
	}
	p.derived[params] = secret
	return secret, nil
}

// NewSlot returns a slot of the kind that KDF says, if the passphrase is not
// too weak.
func (p *Passphrase) NewSlot(ctx context.Context, salt [16]byte) (Slot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ask(ctx); err != nil {
		return Slot{}, err
	}
	if n := utf8.RuneCount(p.normalised); n < MinPassphraseLength && !p.AllowWeak {
		return Slot{}, &Error{Kind: ErrUsage,
			Message: fmt.Sprintf("the passphrase has %d characters, at least %d are asked for", n, MinPassphraseLength),
			Hint:    "take a longer one, of several words"}
	}
	kdf := p.KDF
	if kdf == "" {
		kdf = SlotArgon2id
		if fips140.Enforced() {
			kdf = SlotPBKDF2
		}
	}
	switch kdf {
	case SlotArgon2id:
		return Slot{Kind: SlotArgon2id, Salt: salt, Memory: argonMemory, Passes: argonPasses, Lanes: argonLanes}, nil
	case SlotPBKDF2:
		return Slot{Kind: SlotPBKDF2, Salt: salt, Passes: pbkdfRounds}, nil
	}
	return Slot{}, &Error{Kind: ErrUsage, Message: fmt.Sprintf("unknown KDF %q: %s or %s", p.KDF, SlotArgon2id, SlotPBKDF2)}
}

// ask gets the passphrase unless it is there.
func (p *Passphrase) ask(ctx context.Context) error {
	if p.normalised != nil {
		return nil
	}
	typed, err := p.Source(ctx)
	if err != nil {
		return err
	}
	p.asked++
	defer clear(typed)
	if len(typed) == 0 {
		return &Error{Kind: ErrInvalidConfig, Message: "the passphrase is empty"}
	}
	if !utf8.Valid(typed) {
		return &Error{Kind: ErrInvalidConfig, Message: "the passphrase is not valid UTF-8"}
	}
	p.normalised = norm.NFC.Append(nil, typed...)
	return nil
}

// KeyFile is a [Key] in a file, see docs/format.md for its form. It is read
// when it is first needed. It must be a regular file, and no one but its owner
// may read or write it.
type KeyFile struct {
	Path string

	// AllowGroupRead accepts modes 0640 and 0440, as mounted secrets have them.
	AllowGroupRead bool

	// Optional says that a missing file is a key that is not at hand, and not
	// an error.
	Optional bool

	mu     sync.Mutex
	secret []byte
}

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
func (k *KeyFile) NewSlot(ctx context.Context, salt [16]byte) (Slot, error) {
	_, err := k.Secret(ctx, Slot{})
	return Slot{Kind: SlotKeyFile, Salt: salt}, err
}

func (k *KeyFile) read() (secret [seal.KeySize]byte, err error) {
	invalid := func(message, hint string, cause error) error {
		return &Error{Kind: fileKind(cause), Message: "key file " + k.Path + ": " + message, Hint: hint, Err: cause}
	}
	// Without O_NONBLOCK, opening a FIFO waits for its writer.
	f, err := os.OpenFile(k.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if k.Optional && errors.Is(err, os.ErrNotExist) {
		return secret, &Error{Kind: ErrUnauthenticated, Message: "there is no key file " + k.Path, Err: err}
	}
	if err != nil {
		reason := atomicfile.Reason(err)
		fact, fix := atomicfile.Denial(k.Path, err)
		if fact != "" {
			reason += "; " + fact
		}
		return secret, invalid(reason, fix, err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return secret, invalid(atomicfile.Reason(err), "", err)
	case !info.Mode().IsRegular():
		return secret, invalid("not a regular file", "", nil)
	}
	wide, err := atomicfile.TooWideFile(f, k.AllowGroupRead)
	if err != nil {
		return secret, invalid(atomicfile.Reason(err), "", err)
	}
	if wide != "" {
		return secret, invalid(wide, k.restrict(f), nil)
	}
	text := make([]byte, seal.KeyFileSize+1)
	defer clear(text)
	n, err := io.ReadFull(f, text)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return secret, invalid(atomicfile.Reason(err), "", err)
	}
	secret, err = seal.ParseKeyFile(text[:n])
	if err != nil {
		return secret, invalid(err.Error(), "", err)
	}
	return secret, nil
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
		reason := atomicfile.Reason(err)
		fact, fix := atomicfile.Denial(path, err)
		if fact != "" {
			reason += "; " + fact
		}
		return &Error{Kind: kind, Message: "key file " + path + ": " + reason, Hint: fix, Err: err}
	}
	return nil
}

// restrict says how to mend a mode that is too wide. A file that is mounted for
// a group cannot be changed; then that has to be allowed.
func (k *KeyFile) restrict(f *os.File) string {
	hint := atomicfile.Restrict(k.Path)
	if wide, err := atomicfile.TooWideFile(f, true); err == nil && wide == "" {
		hint += "; where it is mounted for its group: allow_group_read = true in [key], or NEBULA_KEY_ALLOW_GROUP_READ=true"
	}
	return hint
}

// fileKind tells of what kind it is that a file cannot be read or made: what
// permissions or space have to do with it is not the fault of who named it.
func fileKind(err error) Kind {
	switch {
	case errors.Is(err, os.ErrPermission), atomicfile.IsReadOnly(err):
		return ErrPermissionDenied
	case atomicfile.IsFull(err), atomicfile.IsTransient(err):
		return ErrUnavailable
	}
	return ErrInvalidConfig
}

func (s Slot) seal() seal.Slot {
	return seal.Slot{
		Params: seal.Params{Kind: s.Kind, Salt: s.Salt, M: s.Memory, T: s.Passes, P: s.Lanes},
		ID:     s.ID,
		Data:   s.Data,
	}
}
