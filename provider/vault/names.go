package vault

import "github.com/nebula-credential/nebula"

// Ids and the keyring's name are segments of a path as they are: no slash, not
// "." nor "..", nothing that is escaped in a URL. Vault tells upper from lower
// case. So the name in the backend is the name.

// paths are the places of secrets in a mount.
type paths struct {
	mount  string // secret
	prefix string // nebula/credentials, without a slash at either end
}

// secret returns the path of a secret in one of the engine's trees: data,
// metadata, delete, undelete.
func (p paths) secret(tree string, name nebula.Name) string {
	return p.folder(tree) + "/" + name.String()
}

// folder returns the path of the folder that all secrets are in.
func (p paths) folder(tree string) string {
	if p.prefix == "" {
		return p.mount + "/" + tree
	}
	return p.mount + "/" + tree + "/" + p.prefix
}

// policyPath returns the path of a policy for the secrets in a tree.
func (p paths) policyPath(tree string) string { return p.folder(tree) + "/*" }

// parseKey returns the credential's id for a key of a list, and false for
// folders, the keyring, and secrets of others.
func parseKey(key string) (nebula.Name, bool) {
	id, err := nebula.ParseID(key)
	if err != nil {
		return nebula.Name{}, false
	}
	name, err := id.Name()
	return name, err == nil
}
