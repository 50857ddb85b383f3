package nebula

import (
	"bytes"
	"testing"
	"time"
)

// FuzzCopy: a copy on disk reads as it was written, or is refused.
func FuzzCopy(f *testing.F) {
	name, err := ID("x").Name()
	if err != nil {
		f.Fatal(err)
	}
	at := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	e, err := SealRecord([32]byte{}, name, NewSecret([]byte("value")), Metadata{CreatedAt: at, LastModified: at})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(formatCopy(kept{name: name, record: Record{Envelope: e, Version: "7"}, at: at}, [32]byte{1}))
	for _, s := range []string{"", "\n", "{}\n", "{}\n[]", "null\n" + string(e.Bytes()), `{"read_at":"2026-11-28T10:00:00Z","mac":""}` + "\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		k, mac, err := parseCopy(name, data)
		if err != nil {
			return
		}
		again, sum, err := parseCopy(name, formatCopy(k, mac))
		if err != nil || sum != mac || !again.at.Equal(k.at) || again.record.Version != k.record.Version ||
			!bytes.Equal(again.record.Envelope.Bytes(), k.record.Envelope.Bytes()) {
			t.Fatalf("%q became %q, %v", data, formatCopy(k, mac), err)
		}
	})
}
