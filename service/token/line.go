package token

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"
)

// version is the version of the lines. A line of another version is refused.
const version = 1

// line is a token in the file.
type line struct {
	Version int       `json:"v"`
	Name    string    `json:"name"`
	SHA256  string    `json:"sha256"`
	Allow   []Verb    `json:"allow"`
	Prefix  string    `json:"prefix,omitempty"`
	Scope   string    `json:"scope,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
}

func newLine(g Grant, hash [sha256.Size]byte) *line {
	return &line{Version: version, Name: g.Name, SHA256: hex.EncodeToString(hash[:]), Allow: ordered(g.Allow),
		Prefix: g.Prefix, Scope: g.Scope, Created: g.Created, Expires: g.Expires}
}

var errLine = errors.New("not a line of this version")

// key returns the name, if the line is one that Add writes.
func (l line) key() (string, error) {
	hash, err := hex.DecodeString(l.SHA256)
	switch {
	case l.Version != version, err != nil, len(hash) != sha256.Size, l.SHA256 != hex.EncodeToString(hash):
		return "", errLine
	case !slices.Equal(l.Allow, ordered(l.Allow)), !isWholeUTC(l.Created), !isWholeUTC(l.Expires):
		return "", errLine
	}
	return l.Name, l.grant().check()
}

func isWholeUTC(t time.Time) bool { return t.Location() == time.UTC && t.Nanosecond() == 0 }

// hash returns the SHA-256 of the token, which key has checked.
func (l line) hash() (sum [sha256.Size]byte) {
	_, _ = hex.Decode(sum[:], []byte(l.SHA256))
	return sum
}

func (l line) grant() Grant {
	return Grant{Name: l.Name, Allow: l.Allow, Prefix: l.Prefix, Scope: l.Scope, Created: l.Created, Expires: l.Expires, hash: l.hash()}
}
