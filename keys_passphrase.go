package nebula

import (
	"context"
	"crypto/fips140"
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/nebula-credential/nebula/internal/seal"
)

// MinPassphraseLength is the least number of characters in a new passphrase,
// unless weak ones are allowed.
const MinPassphraseLength = 12

// The cost of opening a new passphrase slot: the second choice of RFC 9106,
// section 4, and OWASP's minimum for PBKDF2-HMAC-SHA-256.
const (
	argonMemory = 64 << 10 // KiB
	argonPasses = 3
	argonLanes  = 4
	pbkdfRounds = 600_000
)

// Passphrase is a [Key] that is typed or read. It is asked for once, when it
// is first needed, and derived once for each slot.
type Passphrase struct {
	// Source returns the passphrase, UTF-8, in any normalisation. It is wiped
	// after use.
	Source func(context.Context) ([]byte, error)

	// Name says in messages where the passphrase comes from.
	Name string

	// Tries is how often Source is asked at most, until a passphrase opens a
	// slot. Set it if Source asks a person, who may mistype. A person is asked
	// after other keys were tried. 0 means once, for a source that asks nobody.
	Tries int

	// AllowWeak lets a new slot have fewer than MinPassphraseLength characters.
	AllowWeak bool

	// KDF is the kind of a new slot, SlotArgon2id or SlotPBKDF2. If it is
	// empty, it is SlotArgon2id, and SlotPBKDF2 in FIPS mode.
	KDF string

	mu         sync.Mutex
	normalised []byte
	derived    map[seal.Params][]byte
	asked      int // times that Source was
}

// String names the passphrase in messages, and reveals nothing about it.
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

// Asks reports whether a person is asked: they have Tries.
func (p *Passphrase) Asks(Slot) bool { return p.Tries > 0 }

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
			Hint: "use a slot that works here, or add one outside FIPS mode: nebula key add --passphrase --kdf pbkdf2-sha256"}
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
func (p *Passphrase) NewSlot(ctx context.Context, id string, salt [16]byte) (Slot, []byte, error) {
	slot, err := p.newSlot(ctx)
	if err != nil {
		return Slot{}, nil, err
	}
	slot.ID, slot.Salt = id, salt
	secret, err := p.Secret(ctx, slot)
	return slot, secret, err
}

func (p *Passphrase) newSlot(ctx context.Context) (Slot, error) {
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
		return Slot{Kind: SlotArgon2id, Memory: argonMemory, Passes: argonPasses, Lanes: argonLanes}, nil
	case SlotPBKDF2:
		return Slot{Kind: SlotPBKDF2, Passes: pbkdfRounds}, nil
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
