package seal

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
)

// extract is HKDF-Extract with SHA-256 (RFC 5869, section 2.2).
func extract(salt, secret []byte) []byte {
	mac := hmac.New(sha256.New, salt)
	mac.Write(secret)
	return mac.Sum(nil)
}

// expand is HKDF-Expand with SHA-256 (RFC 5869, section 2.3) into okm, whose
// length is at most 255 × 32. The MAC is keyed with the pseudorandom key; one
// that is kept costs a sixth of a new one for each record.
func expand(mac hash.Hash, info, okm []byte) {
	var block [sha256.Size]byte
	previous := block[:0]
	for counter := byte(1); len(okm) > 0; counter++ {
		mac.Reset()
		mac.Write(previous)
		mac.Write(info)
		mac.Write([]byte{counter})
		previous = mac.Sum(block[:0])
		okm = okm[copy(okm, previous):]
	}
}
