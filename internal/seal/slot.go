package seal

import (
	"crypto/fips140"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/argon2"
)

// Kinds of slots whose parameters are known here.
const (
	KindArgon2id = "argon2id"
	KindPBKDF2   = "pbkdf2-sha256"
	KindKeyFile  = "key-file"
)

// WrappedSize is the length of a wrapped data key: ciphertext and tag.
const WrappedSize = KeySize + TagSize

// ErrFIPS says that Argon2id is not available in FIPS mode.
var ErrFIPS = errors.New("Argon2id is not available in FIPS 140-only mode")

// Params say how a slot's secret is derived. For Argon2id, M, T and P are
// memory in KiB, passes and lanes. For PBKDF2, T is the number of rounds.
// Otherwise they are zero. They are comparable, so that a derived secret can be
// kept by them.
type Params struct {
	Kind    string
	Salt    [SaltSize]byte
	M, T, P uint32
}

// Bounds of the parameters. The writer of a record chose its parameters, so
// they are checked before any memory or time is spent.
const (
	minMemory = 19 << 10 // KiB
	maxMemory = 1 << 20
	minPasses = 2
	maxPasses = 16
	maxLanes  = 16
	maxWork   = 4 << 20 // KiB × passes
	minRounds = 600_000
	maxRounds = 10_000_000
)

// Check returns an error if the parameters are out of bounds. Those of an
// unknown kind are not judged.
func (p Params) Check() error {
	within := true
	switch p.Kind {
	case KindArgon2id:
		within = minMemory <= p.M && p.M <= maxMemory && minPasses <= p.T && p.T <= maxPasses &&
			1 <= p.P && p.P <= maxLanes && uint64(p.M)*uint64(p.T) <= maxWork
	case KindPBKDF2:
		within = p.M == 0 && minRounds <= p.T && p.T <= maxRounds && p.P == 0
	case KindKeyFile:
		within = p.M == 0 && p.T == 0 && p.P == 0
	}
	if !within {
		return fmt.Errorf("parameters of a slot of kind %s are out of bounds: m=%d t=%d p=%d", p.Kind, p.M, p.T, p.P)
	}
	return nil
}

// DeriveSecret returns the secret under which a slot of a passphrase kind is
// wrapped. The caller normalises the passphrase.
func DeriveSecret(p Params, passphrase []byte) ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	switch p.Kind {
	case KindArgon2id:
		if fips140.Enforced() {
			return nil, ErrFIPS
		}
		return argon2.IDKey(passphrase, p.Salt[:], p.T, p.M, uint8(p.P), KeySize), nil
	case KindPBKDF2:
		return pbkdf2.Key(sha256.New, string(passphrase), p.Salt[:], int(p.T), KeySize)
	}
	return nil, fmt.Errorf("a slot of kind %s has no passphrase", p.Kind)
}

// Slot has the values to which a wrapping is bound: the parameters, the slot's
// id, and the data of kinds that have some (nil if there is none).
type Slot struct {
	Params
	ID   string
	Data []byte
}

// Wrapped is a data key wrapped for a slot.
type Wrapped struct {
	Commitment [CommitmentSize]byte
	Nonce      [NonceSize]byte
	Key        [WrappedSize]byte
}

// KEK is a slot's key-encryption key with its commitment. It does not change
// when the data key is replaced.
type KEK struct {
	key        [KeySize]byte
	commitment [CommitmentSize]byte
}

// NewKEK derives the slot's key from its secret.
func NewKEK(s Slot, secret []byte) KEK {
	prk := extract(s.Salt[:], secret)
	info := append([]byte(nil), "nebula/2/slot\x00"...)
	info = AppendBytes(info, s.Kind)
	info = AppendBytes(info, s.ID)
	var okm [KeySize + CommitmentSize]byte
	expand(hmac.New(sha256.New, prk), info, okm[:])
	return KEK{[KeySize]byte(okm[:KeySize]), [CommitmentSize]byte(okm[KeySize:])}
}

// Wrap wraps the data key with a fresh nonce.
func (k KEK) Wrap(s Slot, dataKey *Key) Wrapped {
	box := newGCM(k.key).Seal(nil, nil, dataKey.secret[:], slotAdditional(s))
	return Wrapped{k.commitment, [NonceSize]byte(box[:NonceSize]), [WrappedSize]byte(box[NonceSize:])}
}

// Unwrap returns the data key. It fails with ErrCommitment if the slot is
// opened by another secret, and with ErrTag if it was damaged or edited.
func (k KEK) Unwrap(s Slot, w Wrapped) (*Key, error) {
	if subtle.ConstantTimeCompare(k.commitment[:], w.Commitment[:]) != 1 {
		return nil, ErrCommitment
	}
	box := append(append(make([]byte, 0, NonceSize+WrappedSize), w.Nonce[:]...), w.Key[:]...)
	secret, err := open(k.key, box, slotAdditional(s))
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	return NewKey([KeySize]byte(secret)), nil
}

func slotAdditional(s Slot) []byte {
	aad := append([]byte(nil), "nebula/2/slot-aad\x00"...)
	aad = AppendBytes(aad, s.Kind)
	aad = AppendBytes(aad, s.ID)
	aad = binary.BigEndian.AppendUint32(aad, s.M)
	aad = binary.BigEndian.AppendUint32(aad, s.T)
	aad = binary.BigEndian.AppendUint32(aad, s.P)
	return AppendOptional(aad, s.Data, s.Data != nil)
}

// AppendBytes appends L(x): the length of x as 4 bytes big-endian, then x.
func AppendBytes[T string | []byte](dst []byte, x T) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(x)))
	return append(dst, x...)
}

// AppendOptional appends O(x): 0 if x is absent, else 1 and L(x).
func AppendOptional[T string | []byte](dst []byte, x T, present bool) []byte {
	if !present {
		return append(dst, 0)
	}
	return AppendBytes(append(dst, 1), x)
}
