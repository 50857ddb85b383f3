package aws

import (
	"strings"

	"github.com/nebula-credential/nebula"
)

// AWS allows every character of an id and of the keyring's name, and tells
// upper from lower case. So the name in the backend is the prefix and the name.
// The driver always asks for secrets by name, never by part of an ARN: an id
// that ends like the random end of an ARN is a name like any other.

// maxPrefix leaves room for the longest id in the 256 characters of a name.
const maxPrefix = 127

// secretID returns the name of a secret.
func (d *driver) secretID(name nebula.Name) string { return d.config.SecretPrefix + name.String() }

// parseSecretID returns the credential's name for a secret's name, and false
// for the keyring and for secrets of others.
func parseSecretID(prefix, secret string) (nebula.Name, bool) {
	rest, ok := strings.CutPrefix(secret, prefix)
	if !ok {
		return nebula.Name{}, false
	}
	id, err := nebula.ParseID(rest)
	if err != nil {
		return nebula.Name{}, false
	}
	name, err := id.Name()
	return name, err == nil
}

// isNameText reports whether AWS allows the text in a secret's name.
func isNameText(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/_+=.@-", r))
	}) < 0
}
