package nebula

import (
	"fmt"
	"strings"
)

// MaxIDLength is the greatest number of characters in an [ID].
const MaxIDLength = 128

// ID names a credential: 1 to 128 ASCII characters of A-Z a-z 0-9 _ -, not
// beginning with "-" and not a device name that Windows reserves (con, prn,
// aux, nul, com1 to com9, lpt1 to lpt9, in any case). Case matters on every
// backend: github_token and GitHub_Token are two credentials.
//
// Every operation checks an ID before it calls a backend. So you can use a
// constant as it is, and text from outside needs no second check.
type ID string

// ParseID returns s as an ID, or an error of kind [ErrInvalidID] that says
// what is wrong with it.
func ParseID(s string) (ID, error) {
	if reason := invalidID(s); reason != "" {
		return "", &Error{
			Kind:    ErrInvalidID,
			Message: fmt.Sprintf("%s: %s", quoteID(s), reason),
			Hint:    "an id has 1 to 128 characters of A-Z a-z 0-9 _ - and does not begin with -",
		}
	}
	return ID(s), nil
}

// Name returns the name under which providers know the credential, or the
// error of [ParseID].
func (id ID) Name() (Name, error) {
	if _, err := ParseID(string(id)); err != nil {
		return Name{}, err
	}
	return Name{string(id)}, nil
}

// invalidID says why s is not an id, or "" if it is one.
func invalidID(s string) string {
	switch {
	case s == "":
		return "the id is empty"
	case len(s) > MaxIDLength:
		return fmt.Sprintf("the id has %d characters, %d are allowed", len(s), MaxIDLength)
	case s[0] == '-':
		return "an id does not begin with -"
	}
	for i := range len(s) {
		if !isIDByte(s[i]) {
			return fmt.Sprintf("character %d is not one of A-Z a-z 0-9 _ -", i+1)
		}
	}
	if isDeviceName(s) {
		return "the name is reserved by Windows"
	}
	return ""
}

func isIDByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// isDeviceName reports the names that open a device on Windows, in any
// directory. They are refused everywhere, so that a store can move to Windows.
func isDeviceName(s string) bool {
	switch len(s) {
	case 3:
		switch strings.ToLower(s) {
		case "con", "prn", "aux", "nul":
			return true
		}
	case 4:
		prefix := strings.ToLower(s[:3])
		return (prefix == "com" || prefix == "lpt") && '1' <= s[3] && s[3] <= '9'
	}
	return false
}

// quoteID shows a refused id. It quotes the id, since it may hold anything, and
// cuts it.
func quoteID(s string) string {
	const maxShown = 40
	if len(s) > maxShown {
		return fmt.Sprintf("%q…", s[:maxShown])
	}
	return fmt.Sprintf("%q", s)
}

// shown returns a word that the backend chose: as it is, if it is short and
// plain, and else as quoteID does.
func shown(s string) string {
	plain := func(c rune) bool { return c > ' ' && c < 0x7f && c != '"' }
	if len(s) <= 40 && s != "" && strings.IndexFunc(s, func(c rune) bool { return !plain(c) }) < 0 {
		return s
	}
	return quoteID(s)
}

// keyringName lies outside the grammar of ids, so no credential can have it.
const keyringName = ".keyring"

// Name is the name under which a [Provider] stores a record: the id of a
// credential, or the name of the store's keyring. Only [ID.Name] and
// [KeyringName] make one, so a name that reaches a provider is known to be safe
// to encode.
type Name struct{ s string }

// KeyringName is the name of the record that holds a store's data key.
func KeyringName() Name { return Name{keyringName} }

// String returns the id, or ".keyring".
func (n Name) String() string { return n.s }

// IsKeyring reports whether n is the name of the keyring.
func (n Name) IsKeyring() bool { return n.s == keyringName }

// ID returns the credential's id, and "" for the keyring.
func (n Name) ID() ID {
	if n.IsKeyring() {
		return ""
	}
	return ID(n.s)
}
