// Package sealed makes sealed records for the tests of providers.
package sealed

import (
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

// Record seals a value for an id, with tags, under the data key of all this package's
// records. The record's times are always the same, its salt is not.
func Record(t testing.TB, id, value string, tags map[string]string) (nebula.Name, *nebula.Envelope) {
	t.Helper()
	name, err := nebula.ID(id).Name()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	e, err := nebula.SealRecord([32]byte{1}, name, nebula.NewSecret([]byte(value)),
		nebula.Metadata{CreatedAt: at, LastModified: at, Tags: tags})
	if err != nil {
		t.Fatal(err)
	}
	return name, e
}
