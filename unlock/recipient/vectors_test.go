package recipient_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/unlock/recipient"
)

// The age files of the vectors were written by hand.
func TestVectors(t *testing.T) {
	outsideFIPS(t)
	text, err := os.ReadFile("../../testdata/format/vectors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range bytes.Lines(text) {
		var v struct {
			Name, Identity string
			Record         []byte `json:"record_b64"`
			SlotSecret     string `json:"slot_secret"`
		}
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		if v.Identity == "" {
			continue
		}
		found++
		var record struct {
			Data struct {
				Slots []struct {
					ID   string
					Data []byte
				}
			} `json:"encrypted_data"`
		}
		if err := json.Unmarshal(v.Record, &record); err != nil {
			t.Fatal(err)
		}
		slot := nebula.Slot{ID: record.Data.Slots[0].ID, Kind: nebula.SlotRecipient, Data: record.Data.Slots[0].Data}
		secret, err := open(t, slot, recipient.Options{Identities: []string{identityFile(t, v.Identity)}})
		if err != nil || hex.EncodeToString(secret) != v.SlotSecret {
			t.Errorf("%s: %x, %v; want %s", v.Name, secret, err, v.SlotSecret)
		}
	}
	if found == 0 {
		t.Error("no vector has an identity")
	}
}
