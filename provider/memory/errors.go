package memory

import "github.com/nebula-credential/nebula"

const providerName = "memory"

// Explain implements [provider.Driver]. Nothing below fails but contexts.
func (d *driver) Explain(_ nebula.Name, err error) *nebula.Error {
	return &nebula.Error{Kind: nebula.KindOf(err), Message: "the context ended", Err: err}
}
