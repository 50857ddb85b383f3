package kubernetes

import "github.com/nebula-credential/nebula"

// SecretName returns the name of a credential's Secret.
func SecretName(c Config, name nebula.Name) string {
	return names{namespace: c.Namespace, prefix: c.SecretPrefix}.secret(name)
}

// MaxRecord is the most bytes that a record may have.
const MaxRecord = maxRecord
