// Package dnsname writes names for backends that fold case, or have no upper
// case, and take nothing but letters, digits and hyphens.
package dnsname

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"github.com/nebula-credential/nebula"
)

const hexDigits = "0123456789abcdef"

// mark stands before what is no id written out. A single hyphen always has two
// hex digits after it, so it can occur in no other place.
const mark = "--"

// digest is base32 in lower case without padding: 52 characters for SHA-256.
var digest = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// MinLength is the least that [Encode] can be asked for: a mark and a digest.
const MinLength = len(mark) + 52

// Encode returns the name in a-z, 0-9 and hyphens, of at most max characters,
// ending in a letter or digit. No two names have the same.
//
// a-z and 0-9 stand for themselves, any other byte is a hyphen and its two hex
// digits: github_token is github-5ftoken. Where that is too long, the name is
// its beginning, a mark and the SHA-256 of the id, which cannot be turned back:
// the backend has to keep the id as well. max is at least [MinLength].
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
	// No escape is cut in two, which would leave a hyphen beside the mark.
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

// Decode returns the name that [Encode] writes as s, and false if there is none,
// it is the keyring's, or it is hashed.
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
	// One name is not written in two ways.
	return name, err == nil && escape(id.String()) == s
}

// IsHashed reports whether s has the form that [Encode] gives to a name that is
// too long: which one it is cannot be told.
func IsHashed(s string) bool {
	i := strings.LastIndex(s, mark)
	if i < 0 {
		return false
	}
	sum, err := digest.DecodeString(s[i+len(mark):])
	return err == nil && len(sum) == sha256.Size
}
