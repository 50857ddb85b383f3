package seal

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
)

// KeyFileSize is the greatest length of a key file in bytes.
const KeyFileSize = len(keyFilePrefix) + 2*KeySize + 1 + 8 + len("\r\n")

const keyFilePrefix = "nebula-key-1:"

// ErrKeyFile says that a text is not a key file. It shows nothing of the text,
// which may be a mistyped key.
var ErrKeyFile = errors.New("not a key file: one line nebula-key-1:, 64 digits 0-9a-f, :, 8 digits of checksum")

// FormatKeyFile returns the text of the key file that holds secret.
func FormatKeyFile(secret [KeySize]byte) []byte {
	text := append([]byte(nil), keyFilePrefix...)
	text = hex.AppendEncode(text, secret[:])
	text = append(text, ':')
	text = hex.AppendEncode(text, keyFileSum(secret))
	return append(text, '\n')
}

// ParseKeyFile returns the secret in the text of a key file, which ends in a
// newline of either kind or in none.
func ParseKeyFile(text []byte) ([KeySize]byte, error) {
	var secret [KeySize]byte
	line := bytes.TrimSuffix(text, []byte("\n"))
	if len(line) < len(text) {
		line = bytes.TrimSuffix(line, []byte("\r"))
	}
	rest, ok := bytes.CutPrefix(line, []byte(keyFilePrefix))
	if !ok || len(rest) != 2*KeySize+1+8 || rest[2*KeySize] != ':' || !isLowerHex(rest[:2*KeySize]) {
		return secret, ErrKeyFile
	}
	_, _ = hex.Decode(secret[:], rest[:2*KeySize]) // only digits, and of that length
	sum := hex.AppendEncode(nil, keyFileSum(secret))
	if subtle.ConstantTimeCompare(sum, rest[2*KeySize+1:]) != 1 {
		return [KeySize]byte{}, ErrKeyFile
	}
	return secret, nil
}

func keyFileSum(secret [KeySize]byte) []byte {
	sum := sha256.Sum256(append([]byte("nebula/2/key-file\x00"), secret[:]...))
	return sum[:4]
}

func isLowerHex(text []byte) bool {
	for _, c := range text {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return true
}
