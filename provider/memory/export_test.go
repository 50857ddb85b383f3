package memory

import (
	"testing"

	"github.com/nebula-credential/nebula"
)

// Corrupt puts raw in the place of a record.
func Corrupt(t *testing.T, b *Backend, name nebula.Name, raw []byte) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.live(name)
	if c == nil {
		t.Fatalf("there is no %s to damage", name)
	}
	envelope, err := nebula.ParseEnvelope(name, raw)
	c.versions[len(c.versions)-1] = version{id: versionOf(raw), envelope: envelope, err: err}
}
