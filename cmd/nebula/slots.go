package main

import (
	"fmt"
	"io"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/slotdata"
)

type slotJSON struct {
	ID     string `json:"id"`
	Kind   string `json:"kind"`
	Memory uint32 `json:"memory_kib,omitempty"`
	Passes uint32 `json:"passes,omitempty"`
	Lanes  uint32 `json:"lanes,omitempty"`

	For     string `json:"for,omitempty"` // the recipient, or the key of a service
	Label   string `json:"label,omitempty"`
	AddedAt string `json:"added_at,omitempty"`

	Here  *bool        `json:"here,omitempty"`  // whether the configuration here has a key for it
	Opens *bool        `json:"opens,omitempty"` // whether that key was tried and opens it
	Error *failureJSON `json:"error,omitempty"` // why not
}

// failureJSON is the part of a failure that a list has.
type failureJSON struct {
	Kind    nebula.Kind `json:"kind"`
	Message string      `json:"message"`
	Hint    string      `json:"hint"`
}

func slotOf(s nebula.Slot) slotJSON {
	return slotJSON{ID: s.ID, Kind: s.Kind, Memory: s.Memory, Passes: s.Passes, Lanes: s.Lanes, For: slotFor(s)}
}

// slotFor says what keeps the secret of a slot, as the backend shows it. Its
// form was checked when the keyring was read.
func slotFor(s nebula.Slot) string {
	switch s.Kind {
	case nebula.SlotRecipient:
		data, _ := slotdata.ParseRecipient(s.Data)
		return data.Recipient
	case nebula.SlotAWSKMS:
		data, _ := slotdata.ParseAWSKMS(s.Data)
		return data.ARN
	case nebula.SlotVaultTransit:
		if data, err := slotdata.ParseVaultTransit(s.Data); err == nil {
			return data.Mount + "/" + data.Name
		}
	case nebula.SlotAzureKey:
		if data, err := slotdata.ParseAzureKey(s.Data); err == nil {
			return data.URL.String()
		}
	}
	return ""
}

// noted adds the keyring's note of a slot.
func (s slotJSON) noted(note nebula.SlotNote, found bool) slotJSON {
	if found {
		s.Label, s.AddedAt = note.Label, formatTime(note.AddedAt)
	}
	return s
}

// How much of a recipient and of a service's key a table shows. Keys differ at the
// end of their names.
const (
	maxFor    = 48
	maxKeyFor = 128
)

func shortened(text string, limit int) string {
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}

// detail is the cost of a passphrase, or what keeps the secret.
func (s slotJSON) detail() string {
	switch s.Kind {
	case nebula.SlotArgon2id:
		return fmt.Sprintf("%d MiB, %d passes, %d lanes", s.Memory>>10, s.Passes, s.Lanes)
	case nebula.SlotPBKDF2:
		return fmt.Sprintf("%d rounds", s.Passes)
	case nebula.SlotRecipient:
		return shortened(s.For, maxFor)
	}
	return shortened(s.For, maxKeyFor)
}

// state says what is known about the slot here.
func (s slotJSON) state() string {
	switch {
	case s.Error != nil:
		return "no: " + shortened(s.Error.Message, maxFor)
	case s.Opens != nil && *s.Opens:
		return "opens"
	case s.Here != nil && *s.Here:
		return "configured"
	}
	return "-"
}

func (s slotJSON) row() []string {
	added := "-"
	if at, err := time.Parse(time.RFC3339Nano, s.AddedAt); err == nil {
		added = at.Format(time.DateOnly)
	}
	return []string{s.ID, s.Kind, orDash(s.Label), added, s.state(), s.detail()}
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func (a *app) writeSlots(w io.Writer, slots []slotJSON) error {
	rows := [][]string{{"SLOT", "KIND", "LABEL", "ADDED", "HERE", "DETAIL"}}
	for _, s := range slots {
		rows = append(rows, s.row())
	}
	return a.table(w, rows)
}

// tellRoom says how much of the keyring's room is left, if that may end soon.
func (a *app) tellRoom(s *config.Opened, size int) {
	const largest = 5400 // bytes of a slot as stored: one of a post-quantum recipient
	limit := s.Describe().MaxRecordSize
	if left := limit - size; limit > 0 && left < 4*largest {
		a.tell(fmt.Sprintf("the keyring has %d of %d bytes; a slot takes up to %d, one of a post-quantum recipient", size, limit, largest))
	}
}
