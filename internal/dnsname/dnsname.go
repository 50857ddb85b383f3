// Package dnsname encodes names for backends that ignore case, or have no upper
// case, and allow only letters, digits and hyphens.
package dnsname

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"github.com/nebula-credential/nebula"
)

const hexDigits = "0123456789abcdef"

// mark begins a part that is not an encoded id: a hash, or the keyring's name. It
// cannot occur in an encoded id, in which two hex digits follow every hyphen.
const mark = "--"

// digest is base32 in lower case without padding: 52 characters for SHA-256.
var digest = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// MinLength is the minimum of the max of [Encode]: a mark and a digest.
const MinLength = len(mark) + 52

// Encode encodes a name in a-z, 0-9 and hyphens, in at most max characters, with
// a letter or digit at the end. Two names never have the same encoding. max is at
// least [MinLength].
//
// a-z and 0-9 are kept, any other byte becomes a hyphen and two hex digits:
// github_token is github-5ftoken. If the result is too long, it is cut and
// followed by a mark and the SHA-256 of the id. That cannot be decoded, so the
// backend must keep the id as well.
func Encode(name nebula.Name, max int) string {
	if name.IsKeyring() {
		return mark + "keyring"
	}
	id := name.String()
	written := escape(id)
	if len(written) <= max {
		return written
	}
	sum := sha256.Sum256([]byte(id))
	end := mark + digest.EncodeToString(sum[:])
	// Do not cut an escape in two: a hyphen would be left beside the mark.
	begin := written[:max-len(end)]
	if i := strings.LastIndexByte(begin, '-'); i >= 0 && i > len(begin)-3 {
		begin = begin[:i]
	}
	return begin + end
}

func escape(id string) string {
	var b strings.Builder
	for i := range len(id) {
		c := id[i]
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('-')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}

// Decode returns the name that [Encode] encodes as s. It returns false if there
// is none, or if s is hashed or the keyring's.
func Decode(s string) (nebula.Name, bool) {
	var id strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '-' {
			if i+2 >= len(s) {
				return nebula.Name{}, false
			}
			high, low := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
			if high < 0 || low < 0 {
				return nebula.Name{}, false
			}
			c = byte(high<<4 | low)
			i += 2
		}
		id.WriteByte(c)
	}
	name, err := nebula.ID(id.String()).Name()
	// Reject any other way to write the same name.
	return name, err == nil && escape(id.String()) == s
}

// IsHashed reports whether s has the form of a name that was too long to be
// encoded without a hash.
func IsHashed(s string) bool {
	i := strings.LastIndex(s, mark)
	if i < 0 {
		return false
	}
	sum, err := digest.DecodeString(s[i+len(mark):])
	return err == nil && len(sum) == sha256.Size
}
