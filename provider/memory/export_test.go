package memory

import (
	"testing"

	"github.com/nebula-credential/nebula"
)

// Reopen returns another provider over the backend of p.
func Reopen(_ *testing.T, p nebula.Provider) nebula.Provider {
	old := p.(*Provider)
	return &Provider{config: old.config, backend: old.backend}
}

// Corrupt puts raw in the place of a record.
func Corrupt(t *testing.T, provider nebula.Provider, name nebula.Name, raw []byte) {
	t.Helper()
	p := provider.(*Provider)
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.live(name)
	if c == nil {
		t.Fatalf("there is no %s to damage", name)
	}
	envelope, err := nebula.ParseEnvelope(name, raw)
	c.versions[len(c.versions)-1] = version{id: versionOf(raw), envelope: envelope, err: err}
}
