package memory

import "github.com/nebula-credential/nebula"

const providerName = "memory"

// Explain implements [provider.Driver]. Only contexts cause such errors.
func (d *driver) Explain(_ nebula.Name, err error) *nebula.Error {
	return &nebula.Error{Kind: nebula.KindOf(err), Message: "the context ended", Err: err}
}
