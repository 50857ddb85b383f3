package main

import (
	"context"
	"fmt"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

// examineSlots tries the key of each slot for which one is configured here, and
// warns if the store depends on one key, or one person.
func (a *app) examineSlots(ctx context.Context, x *examination, s *config.Opened, info nebula.KeyInfo) {
	if !info.Authentic {
		return // that is said of the keyring
	}
	const check = "slots"
	before := len(x.findings)
	for _, slot := range info.Slots {
		if !s.Keys.OpensHere(slot) {
			continue
		}
		err := s.TrySlot(ctx, slot.ID)
		switch kind := nebula.KindOf(err); {
		case err == nil:
			x.add(check, nebula.SeverityOK, slot.ID+" ("+slot.Kind+") opens", "")
		case kind == nebula.ErrWrongKey || kind == nebula.ErrUnauthenticated:
			// It may be somebody else's.
		default:
			f := a.failureOf(err)
			x.take([]nebula.Finding{{Check: check, Severity: nebula.SeverityError, Kind: f.Kind,
				Message: slot.ID + " (" + slot.Kind + "): " + f.Message, Fix: f.Hint}})
		}
	}
	warnFewKeys(x, check, info)
	if len(x.findings) == before {
		x.add(check, nebula.SeverityOK, fmt.Sprintf("%d, and none of them has a key in the configuration here", len(info.Slots)), "")
	}
}

func warnFewKeys(x *examination, check string, info nebula.KeyInfo) {
	label := info.Notes[info.Slots[0].ID].Label
	for _, slot := range info.Slots {
		if info.Notes[slot.ID].Label != label {
			label = ""
		}
	}
	switch {
	case len(info.Slots) == 1:
		x.add(check, nebula.SeverityWarning, "there is only one key; if you lose it, you lose the store", "add a second one and keep it elsewhere: nebula key add --key-file FILE")
	case label != "":
		x.add(check, nebula.SeverityWarning, "all keys have the label "+shorten(label)+": there is nobody else", "add the key of another person: nebula key add --recipient R --label NAME")
	}
}
