package azure

import (
	"strings"

	"github.com/nebula-credential/nebula"
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

// owner returns the name whose record a secret holds, and false where the
// secret is not ours. Long names hold no id, so it is a tag that tells; it
// counts only on the secret that stands where that id has to.
func (n names) owner(secret string, l listed) (nebula.Name, bool) {
	name := nebula.KeyringName()
	if l.ID != name.String() {
		id, err := nebula.ParseID(l.ID)
		if err != nil {
			return nebula.Name{}, false
		}
		if name, err = id.Name(); err != nil {
			return nebula.Name{}, false
		}
	}
	return name, n.secret(name) == strings.ToLower(secret)
}

// isName reports whether all characters may stand in a secret's name.
func isName(s string) bool {
	for _, c := range []byte(s) {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-') {
			return false
		}
	}
	return true
}

// parseSecretID takes the id of a secret apart:
// https://HOST/secrets/NAME[/VERSION]. The SDK's own parser panics on others.
func parseSecretID(id string) (secret, version string, ok bool) {
	_, path, ok := strings.Cut(id, "://")
	if !ok {
		return "", "", false
	}
	parts := strings.Split(path, "/")
	if len(parts) < 3 || len(parts) > 4 || parts[1] != "secrets" || parts[2] == "" || !isName(parts[2]) {
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
