package azure

import (
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/azureapi"
	"github.com/nebula-credential/nebula/internal/dnsname"
)

// maxName is the length of a secret's name, in characters: 0-9 A-Z a-z and
// hyphens. Key Vault does not tell upper from lower case.
const maxName = 127

// names are those of one prefix.
type names struct {
	prefix string // in lower case
}

// secret returns the name of the secret that holds the record.
func (n names) secret(name nebula.Name) string {
	return n.prefix + dnsname.Encode(name, maxName-len(n.prefix))
}

// holds reports whether a secret is stored where the record of an id belongs.
// The id is that of its tag, "" if it has none. A long name does not contain
// the id, so only the tag tells it; the tag counts only if the name is the one
// for that id.
func (n names) holds(secret, id string) (nebula.Name, bool) {
	name, ok := parseName(id)
	return name, ok && n.secret(name) == strings.ToLower(secret)
}

// parseName is the inverse of Name.String.
func parseName(text string) (nebula.Name, bool) {
	if keyring := nebula.KeyringName(); text == keyring.String() {
		return keyring, true
	}
	id, err := nebula.ParseID(text)
	if err != nil {
		return nebula.Name{}, false
	}
	name, err := id.Name()
	return name, err == nil
}

// isOfAnotherPrefix reports whether a secret is stored where the record of an
// id belongs in a store with some other prefix.
func isOfAnotherPrefix(secret, id string) bool {
	name, ok := parseName(id)
	if !ok {
		return false
	}
	secret = strings.ToLower(secret)
	written := dnsname.Encode(name, 3*len(id)+dnsname.MinLength)
	hashed := dnsname.Encode(name, dnsname.MinLength)
	return strings.HasSuffix(secret, written) || hashed != written && len(secret) > maxName-3 && strings.HasSuffix(secret, hashed)
}

// place is what the name of a secret says about its content.
type place int

const (
	elsewhere place = iota // it can hold no record of this store
	spelt                  // the record of the id that is written in it
	hashed                 // the record of an id that is too long to be written
)

// place returns what a secret's name says, and the record's name if it is
// spelt in it.
func (n names) place(secret string) (nebula.Name, place) {
	rest, ok := strings.CutPrefix(strings.ToLower(secret), n.prefix)
	if !ok {
		return nebula.Name{}, elsewhere
	}
	if name, ok := n.holds(secret, nebula.KeyringName().String()); ok {
		return name, spelt
	}
	if name, ok := dnsname.Decode(rest); ok && n.secret(name) == n.prefix+rest {
		return name, spelt
	}
	if len(secret) > maxName-3 && dnsname.IsHashed(rest) {
		return nebula.Name{}, hashed
	}
	return nebula.Name{}, elsewhere
}

// parseSecretID takes the id of a secret apart:
// https://HOST/secrets/NAME[/VERSION]. The SDK's own parser panics on others.
func parseSecretID(id string) (secret, version string, ok bool) {
	_, path, ok := strings.Cut(id, "://")
	if !ok {
		return "", "", false
	}
	parts := strings.Split(path, "/")
	if len(parts) < 3 || len(parts) > 4 || parts[1] != "secrets" || parts[2] == "" || !azureapi.IsName(parts[2]) {
		return "", "", false
	}
	if len(parts) == 4 {
		version = parts[3]
	}
	return parts[2], version, version == "" || isVersion(version)
}

// isVersion reports whether s has the form of the version of a secret: 32
// hexadecimal digits.
func isVersion(s string) bool {
	const length = 32
	if len(s) != length {
		return false
	}
	for _, c := range []byte(s) {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return true
}
