package local

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// Whatever is read, no more is kept than has room, and nothing that is large.
func TestRecordsHaveBounds(t *testing.T) {
	var r records
	now := time.Now()
	sealed := func(id string, size int) (nebula.Name, nebula.Record) {
		name, err := nebula.ID(id).Name()
		if err != nil {
			t.Fatal(err)
		}
		e, err := nebula.SealRecord([32]byte{1}, name, nebula.NewSecret([]byte(strings.Repeat("x", size))), nebula.Metadata{CreatedAt: now, LastModified: now})
		if err != nil {
			t.Fatal(err)
		}
		return name, nebula.Record{Envelope: e}
	}
	for i := range 500 {
		name, record := sealed(fmt.Sprintf("id-%d", i%400), 100*i%30_000)
		r.put(name, atomicfile.Stat{}, record)
		if got, ok := r.get(name); !ok || got.record.Envelope != record.Envelope {
			t.Fatalf("%d was not kept", i)
		}
		sum := 0
		for _, k := range r.entries {
			sum += len(k.record.Envelope.Bytes())
		}
		if sum != r.bytes || sum > maxKept {
			t.Fatalf("%d bytes are kept, %d counted", sum, r.bytes)
		}
	}
	if len(r.entries) < 50 {
		t.Errorf("%d are kept", len(r.entries))
	}
	name, record := sealed("large", maxKeptRecord)
	r.put(name, atomicfile.Stat{}, record)
	if _, ok := r.get(name); ok {
		t.Error("a large one was kept")
	}
}
