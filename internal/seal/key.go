// Package seal has the cryptography of the format: sealing under a data key,
// wrapping the data key for a slot, deriving a slot's secret from a passphrase,
// and the text of a key file. Package nebula makes its input, the additional
// data and the canonical encoding.
//
// docs/format.md specifies all of it byte by byte.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"hash"
	"sync"
)

// Sizes in bytes.
const (
	KeySize        = 32
	KeyIDSize      = 16
	SaltSize       = 16
	NonceSize      = 12
	TagSize        = 16
	CommitmentSize = 32
)

// Algorithm names the only algorithm of version 2. It is part of the additional
// data, not of the record.
const Algorithm = "AES-256-GCM+HKDF-SHA-256"

var (
	// ErrCommitment says that the key is another one: the commitment does not fit.
	ErrCommitment = errors.New("the commitment is of another key")
	// ErrTag says that the key is right and the data is not authentic.
	ErrTag = errors.New("the data is not authentic")
)

// Key is a data key, or the key of one slot's wrapping. It may be used by
// several goroutines.
type Key struct {
	secret [KeySize]byte
	id     [KeyIDSize]byte
	macs   sync.Pool // of hash.Hash, HMAC-SHA-256 under secret
}

// NewKey returns the data key of the given bytes.
func NewKey(secret [KeySize]byte) *Key {
	k := &Key{secret: secret}
	k.macs.New = func() any { return hmac.New(sha256.New, k.secret[:]) }
	k.expand([]byte("nebula/2/key-id\x00"), k.id[:])
	return k
}

// GenerateKey returns a new random data key.
func GenerateKey() *Key {
	var secret [KeySize]byte
	_, _ = rand.Read(secret[:]) // never fails: the runtime ends the process first
	return NewKey(secret)
}

// ID identifies the key and reveals nothing about it.
func (k *Key) ID() [KeyIDSize]byte { return k.id }

// Secret returns the key's bytes, to be wrapped for a slot or kept as retired.
func (k *Key) Secret() [KeySize]byte { return k.secret }

// Sealed is a plaintext sealed for one name.
type Sealed struct {
	Salt       [SaltSize]byte
	Commitment [CommitmentSize]byte
	Box        []byte // nonce, ciphertext, tag
}

// Seal seals plaintext for name, with a fresh salt, record key and nonce.
func (k *Key) Seal(name string, plaintext, additional []byte) Sealed {
	var s Sealed
	_, _ = rand.Read(s.Salt[:]) // never fails
	recordKey, commitment := k.derive(name, s.Salt)
	s.Commitment = commitment
	s.Box = newGCM(recordKey).Seal(nil, nil, plaintext, additional)
	return s
}

// Open returns the plaintext that was sealed for name. It fails with
// ErrCommitment or ErrTag.
func (k *Key) Open(name string, s Sealed, additional []byte) ([]byte, error) {
	recordKey, commitment := k.derive(name, s.Salt)
	if subtle.ConstantTimeCompare(commitment[:], s.Commitment[:]) != 1 {
		return nil, ErrCommitment
	}
	return open(recordKey, s.Box, additional)
}

// Fits reports whether the commitment is to this key.
func (k *Key) Fits(name string, s Sealed) bool {
	_, commitment := k.derive(name, s.Salt)
	return subtle.ConstantTimeCompare(commitment[:], s.Commitment[:]) == 1
}

// MACSize is the length of the result of [Key.MAC].
const MACSize = sha256.Size

// MAC authenticates a message under a key derived for one purpose.
func (k *Key) MAC(purpose string, message []byte) [MACSize]byte {
	var derived [KeySize]byte
	k.expand([]byte(purpose), derived[:])
	mac := hmac.New(sha256.New, derived[:])
	mac.Write(message)
	return [MACSize]byte(mac.Sum(nil))
}

func (k *Key) derive(name string, salt [SaltSize]byte) (recordKey [KeySize]byte, commitment [CommitmentSize]byte) {
	info := make([]byte, 0, 192)
	info = append(info, "nebula/2/record\x00"...)
	info = append(info, salt[:]...)
	info = binary.BigEndian.AppendUint16(info, uint16(len(name)))
	info = append(info, name...)
	var okm [KeySize + CommitmentSize]byte
	k.expand(info, okm[:])
	return [KeySize]byte(okm[:KeySize]), [CommitmentSize]byte(okm[KeySize:])
}

func (k *Key) expand(info, okm []byte) {
	mac := k.macs.Get().(hash.Hash)
	expand(mac, info, okm)
	k.macs.Put(mac)
}

// newGCM returns AES-256-GCM that draws its nonces itself and puts them first.
// FIPS mode allows only this construction, even for opening.
func newGCM(key [KeySize]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // only for a key of another length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for a block of another length
	}
	return aead
}

func open(key [KeySize]byte, box, additional []byte) ([]byte, error) {
	plaintext, err := newGCM(key).Open(nil, nil, box, additional)
	if err != nil {
		return nil, ErrTag
	}
	return plaintext, nil
}
