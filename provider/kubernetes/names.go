package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/dnsname"
)

// names are those of the Secrets of one store.
type names struct {
	namespace string
	prefix    string
}

// secret returns the name of a credential's Secret. No two have the same; one
// that is too long has a hash in it.
func (n names) secret(name nebula.Name) string {
	return n.prefix + dnsname.Encode(name, maxName-len(n.prefix))
}

// store returns the value of the label that all Secrets of the prefix have. The
// prefix itself may be longer than a label, and may end with a character that a
// label cannot end with.
func (n names) store() string {
	sum := sha256.Sum256([]byte(n.prefix))
	return hex.EncodeToString(sum[:8])
}

// keyOf returns the value of the label by which a few credentials are selected.
// It is short, so others may have the same value, and the answer is compared.
func keyOf(name nebula.Name) string {
	sum := sha256.Sum256([]byte(name.String()))
	return hex.EncodeToString(sum[:4])
}

// parse returns the name of the credential in the annotation of a Secret, and
// false for the keyring and for Secrets that are not ours.
func (n names) parse(m objectMeta) (nebula.Name, bool) {
	id, err := nebula.ParseID(m.Annotations[idAnnotation])
	if err != nil {
		return nebula.Name{}, false
	}
	name, err := id.Name()
	return name, err == nil && n.holds(m, name)
}

// holds reports whether a Secret is marked as that of a credential, or of the
// keyring.
func (n names) holds(m objectMeta, name nebula.Name) bool {
	return name != (nebula.Name{}) && m.Annotations[idAnnotation] == name.String() && m.Name == n.secret(name)
}

// unmarked reports whether the annotation with the id is missing, and nothing
// else says that the Secret is another store's: somebody may have removed our
// mark.
func (n names) unmarked(m objectMeta) bool {
	_, marked := m.Annotations[idAnnotation]
	store, labelled := m.Labels[storeLabel]
	return !marked && (!labelled || store == n.store())
}

// decode returns the name of the credential to which a Secret's name belongs,
// and false if there is none or the Secret's name does not show it.
func (n names) decode(object string) (nebula.Name, bool) {
	written, found := strings.CutPrefix(object, n.prefix)
	name, decoded := dnsname.Decode(written)
	return name, found && decoded && n.secret(name) == object
}

// isHashed reports whether a Secret's name belongs to a credential but does not
// show to which.
func (n names) isHashed(object string) bool {
	written, found := strings.CutPrefix(object, n.prefix)
	return found && dnsname.IsHashed(written)
}
