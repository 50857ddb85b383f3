package nebula

import (
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/nebula-credential/nebula/internal/canon"
)

// MaxLabelLength is the greatest number of characters in a slot's label.
const MaxLabelLength = 64

// SlotNote describes a slot to people. It is sealed: the backend does not see it.
type SlotNote struct {
	Label   string // "" for none
	AddedAt time.Time
}

// checkLabel fails if a slot cannot have that label. An empty one is allowed.
func checkLabel(label string) error {
	reason := invalidText(label)
	if n := utf8.RuneCountInString(label); n > MaxLabelLength {
		reason = fmt.Sprintf("has %d characters, %d are allowed", n, MaxLabelLength)
	}
	if reason != "" {
		return &Error{Kind: ErrUsage, Message: "the label " + reason}
	}
	return nil
}

// note sets the note of a slot. Earlier states of the keyring keep theirs.
func (k *keyring) note(id string, note SlotNote) {
	k.notes = maps.Clone(k.notes)
	if k.notes == nil {
		k.notes = make(map[string]SlotNote)
	}
	k.notes[id] = note
}

func (k *keyring) appendNotes(b []byte) []byte {
	open := `,"notes":{`
	for _, id := range slices.Sorted(maps.Keys(k.notes)) {
		b = append(b, open...)
		b = canon.AppendString(b, id)
		b = append(b, `:{`...)
		if label := k.notes[id].Label; label != "" {
			b = append(b, `"label":`...)
			b = canon.AppendString(b, label)
			b = append(b, ',')
		}
		b = append(b, `"added_at":"`...)
		b = canon.AppendTime(b, k.notes[id].AddedAt)
		b = append(b, `"}`...)
		open = ","
	}
	if len(k.notes) > 0 {
		b = append(b, '}')
	}
	return b
}

// readNotes reads what appendNotes writes: notes of existing slots, by
// ascending bytes of their ids.
func (k *keyring) readNotes(r *canon.Reader) {
	if !r.Accept(`,"notes":{`) {
		return
	}
	k.notes = make(map[string]SlotNote)
	for before := ""; !r.Failed(); {
		id := r.String()
		if id <= before || !k.hasSlot(id) {
			r.Fail()
		}
		before = id
		k.notes[id] = readNote(r)
		if !r.Accept(`,`) {
			break
		}
	}
	r.Expect(`}`)
}

func readNote(r *canon.Reader) (note SlotNote) {
	r.Expect(`:{`)
	if r.Accept(`"label":`) {
		note.Label = present(r)
		r.Expect(`,`)
	}
	r.Expect(`"added_at":`)
	note.AddedAt = r.Time()
	r.Expect(`}`)
	if utf8.RuneCountInString(note.Label) > MaxLabelLength {
		r.Fail()
	}
	return note
}
