package token

import (
	"crypto/rand"
	"hash/crc32"
)

// Pattern is a regular expression that finds tokens in text. A match is a token
// only if the checksum is right: the last six characters are the IEEE CRC-32 of
// the 43 before them, in base 62, padded with "0" on the left. The digits of base
// 62 are 0-9, A-Z and a-z, in this order.
const Pattern = `\bnbt_[0-9A-Za-z]{49}\b`

const (
	prefix   = "nbt_"
	digits   = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	random   = 43 // characters, which hold 256.03 bits
	checksum = 6  // characters
	length   = len(prefix) + random + checksum
)

// newSecret returns a new token, which the caller wipes.
func newSecret() []byte {
	secret := make([]byte, 0, length)
	secret = append(secret, prefix...)
	var pool [64]byte
	for len(secret) < len(prefix)+random {
		_, _ = rand.Read(pool[:]) // never fails
		for _, b := range pool {
			// With the bytes from 248 on, some characters would be more frequent
			// than others.
			if b < 248 && len(secret) < len(prefix)+random {
				secret = append(secret, digits[b%62])
			}
		}
	}
	clear(pool[:])
	return appendChecksum(secret, secret[len(prefix):])
}

func appendChecksum(dst, of []byte) []byte {
	sum := crc32.ChecksumIEEE(of)
	var text [checksum]byte
	for i := checksum - 1; i >= 0; i-- {
		text[i] = digits[sum%62]
		sum /= 62
	}
	return append(dst, text[:]...)
}

// isWellFormed reports whether a text has the form of a token.
func isWellFormed(secret []byte) bool {
	if len(secret) != length || string(secret[:len(prefix)]) != prefix {
		return false
	}
	for _, c := range secret[len(prefix):] {
		if !('0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z') {
			return false
		}
	}
	var sum [checksum]byte
	at := len(secret) - checksum
	return string(appendChecksum(sum[:0], secret[len(prefix):at])) == string(secret[at:])
}
