package migrate

import (
	"bytes"
	"crypto/fips140"
	"encoding/hex"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/nebula-credential/nebula"
)

// Sizes in bytes.
const (
	KeySize  = 32
	SaltSize = 16
)

// The only derivation of version 1: Argon2id, version 0x13.
const (
	argonMemory = 19456 // KiB
	argonPasses = 2
	argonLanes  = 1
)

// Key opens records of version 1. It prints as [REDACTED]. The zero Key opens
// none.
type Key struct{ secret nebula.Secret }

// NewKey returns the key of the given bytes.
func NewKey(secret [KeySize]byte) Key { return Key{nebula.NewSecret(secret[:])} }

// ParseKey returns the key in the text of a file: 64 hexadecimal digits, which
// one newline may follow, or exactly 32 bytes. The error is of kind
// ErrInvalidConfig and shows nothing of the text.
func ParseKey(text []byte) (Key, error) {
	if len(text) == KeySize {
		return Key{nebula.NewSecret(text)}, nil
	}
	line := text
	if rest, ok := bytes.CutSuffix(text, []byte("\n")); ok {
		line = bytes.TrimSuffix(rest, []byte("\r"))
	}
	var secret [KeySize]byte
	defer clear(secret[:])
	if len(line) == hex.EncodedLen(KeySize) {
		if _, err := hex.Decode(secret[:], line); err == nil {
			return NewKey(secret), nil
		}
	}
	return Key{}, &nebula.Error{Kind: nebula.ErrInvalidConfig,
		Message: "this is not a version 1 key: it has 64 hexadecimal digits, or exactly 32 bytes"}
}

// DeriveKey returns the key of a passphrase: Argon2id with 19,456 KiB, two
// passes, one lane. The passphrase is UTF-8, may be empty and is taken byte by
// byte: é in one character and in two are different ones.
//
// Errors: ErrInvalidConfig if it is not UTF-8; ErrNotSupported in FIPS mode.
func DeriveKey(passphrase []byte, salt [SaltSize]byte) (Key, error) {
	if fips140.Enforced() {
		return Key{}, &nebula.Error{Kind: nebula.ErrNotSupported,
			Message: "Argon2id is not available in FIPS 140-only mode",
			Hint:    "derive the key outside FIPS mode and give the key itself, or migrate outside FIPS mode"}
	}
	if !utf8.Valid(passphrase) {
		return Key{}, &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "the version 1 passphrase is not valid UTF-8"}
	}
	secret := argon2.IDKey(passphrase, salt[:], argonPasses, argonMemory, argonLanes, KeySize)
	defer clear(secret)
	return Key{nebula.NewSecret(secret)}, nil
}

// ParseSalt returns the salt of 32 hexadecimal digits, or an error of kind
// ErrUsage. Version 1 does not store it beside the records.
func ParseSalt(digits string) ([SaltSize]byte, error) {
	var salt [SaltSize]byte
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != SaltSize {
		return salt, &nebula.Error{Kind: nebula.ErrUsage,
			Message: "the salt is not 32 hexadecimal digits", Hint: "a version 1 salt has 16 bytes"}
	}
	return [SaltSize]byte(b), nil
}

// Wipe overwrites the key, which opens nothing afterwards.
func (k Key) Wipe() { k.secret.Wipe() }

// MarshalText returns [REDACTED].
func (k Key) MarshalText() ([]byte, error) { return []byte("[REDACTED]"), nil }

// Format writes [REDACTED] for every verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.secret.String()) }
