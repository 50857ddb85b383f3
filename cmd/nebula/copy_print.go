package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/transfer"
)

// planJSON is a dry run: {"would_copy":[…],"same":[…],"differs":[…],"failed":[…]}.
type planJSON struct {
	WouldCopy []nebula.ID    `json:"would_copy"`
	Same      []nebula.ID    `json:"same"`
	Differs   []nebula.ID    `json:"differs"`         // and would be left
	Failed    []entryFailure `json:"failed"`          // what cannot be copied
	Slots     []slotJSON     `json:"slots,omitempty"` // of the keyring that the destination would receive
}

// printPlan shows what would happen to each credential.
func (a *app) printPlan(plan *transfer.Plan, to *config.Opened, o copyOptions) error {
	out := planJSON{WouldCopy: []nebula.ID{}, Same: []nebula.ID{}, Differs: []nebula.ID{}, Failed: []entryFailure{}}
	rows := [][]string{{"ID", "STATE", "SIZE", "REASON"}}
	bytes := int64(0)
	for _, item := range plan.Items {
		state, size, reason := strings.ReplaceAll(item.State.String(), "_", " "), "-", ""
		if item.Size > 0 {
			size = byteCount(int64(item.Size))
		}
		switch {
		case item.Err != nil:
			f := a.failureOf(item.Err)
			out.Failed, reason = append(out.Failed, entryFailure{item.ID, f.Kind, f.Message}), f.Message
		case item.State == transfer.Same:
			out.Same = append(out.Same, item.ID)
		case item.State == transfer.Differs && !o.overwrite:
			out.Differs, reason = append(out.Differs, item.ID), "left, without --overwrite"
		default:
			out.WouldCopy = append(out.WouldCopy, item.ID)
			bytes += int64(item.Size)
		}
		rows = append(rows, []string{string(item.ID), state, size, reason})
	}
	if plan.Keyring != nil && len(plan.Items) > 0 {
		out.Slots = a.slotsOf(plan.Keyring)
	}
	a.tellKeyring(plan, to)
	if err := a.print(out, func(w io.Writer) error { return a.table(w, rows) }); err != nil {
		return err
	}
	verb := "copy"
	if o.move {
		verb = "move"
	}
	text := fmt.Sprintf("would %s %d (%s)", verb, len(out.WouldCopy), byteCount(bytes))
	for _, part := range []struct {
		n    int
		what string
	}{{len(out.Same), "there already"}, {len(out.Differs), "left, since they differ"}, {len(out.Failed), "cannot be copied"}} {
		if part.n > 0 {
			text += fmt.Sprintf(", %s: %d", part.what, part.n)
		}
	}
	a.tell(text)
	return nil
}

func (a *app) slotsOf(k *transfer.Keyring) []slotJSON {
	slots := []slotJSON{}
	for _, slot := range k.Slots {
		note, found := k.Notes[slot.ID]
		slots = append(slots, slotOf(slot).noted(note, found))
	}
	return slots
}

// tellKeyring names the slots that a destination without a keyring receives.
// Anyone who can open one of them can open the copies.
func (a *app) tellKeyring(plan *transfer.Plan, to *config.Opened) {
	if plan.Keyring == nil || len(plan.Items) == 0 {
		return
	}
	var slots []string
	guessable := false
	for _, s := range a.slotsOf(plan.Keyring) {
		text := s.ID + " (" + s.Kind
		if s.Label != "" {
			text += ", " + s.Label
		}
		slots = append(slots, text+")")
		guessable = guessable || s.Kind == nebula.SlotArgon2id || s.Kind == nebula.SlotPBKDF2
	}
	a.tell(to.Name + " is not initialised, and receives the keyring with the slots:\n  " + strings.Join(slots, "\n  "))
	if guessable && to.Describe().Provider != "local" && to.Describe().Provider != "memory" {
		a.tell("anyone who can read that backend can try to guess the passphrase; to leave its slot behind: --drop SLOT")
	}
	if plan.Keyring.Rotating {
		a.tell("a rotation of the data key was begun at the source: end it at both, with nebula key rotate --resume")
	}
}

// copyJSON is the outcome of a copy.
type copyJSON struct {
	Copied   []nebula.ID    `json:"copied"`
	Same     []nebula.ID    `json:"same"`
	Differs  []nebula.ID    `json:"differs"`
	Failed   []entryFailure `json:"failed"`
	NotBegun []nebula.ID    `json:"not_begun,omitempty"`
}

// printCopy prints the outcome for each credential, unless the copy failed before
// the first.
func (a *app) printCopy(r transfer.Report, from, to *config.Opened, o copyOptions, stopped error) error {
	if stopped != nil && len(r.Copied)+len(r.Failed) == 0 && len(r.NotBegun) > 0 {
		return nil
	}
	if a.global.output == outputJSON {
		out := copyJSON{Copied: r.Copied, Same: r.Same, Differs: r.Differs, Failed: []entryFailure{}, NotBegun: r.NotBegun}
		for _, f := range r.Failed {
			failure := a.failureOf(f.Err)
			out.Failed = append(out.Failed, entryFailure{f.ID, failure.Kind, failure.Message})
		}
		return outputError(writeJSON(a.stdout, out))
	}
	verb, gone := "copied", ""
	if o.move {
		verb, gone = "moved", ", and deleted at the source"
	}
	text := fmt.Sprintf("%s %s (%s) from %s to %s", verb, plural(len(r.Copied)), byteCount(r.Bytes), from.Name, to.Name)
	if n := len(r.Same); n > 0 {
		text += fmt.Sprintf(", there already%s: %d", gone, n)
	}
	if n := len(r.Differs); n > 0 {
		text += fmt.Sprintf(", left since they differ: %d", n)
	}
	if n := len(r.Failed); n > 0 {
		text += fmt.Sprintf(", failed: %d", n)
	}
	if n := len(r.NotBegun); n > 0 {
		text += fmt.Sprintf(", not begun: %d", n)
	}
	a.tell(text)
	return nil
}

// endOfCopy returns the error of a copy: the reason why it ended early, or its
// first failure, or that some credentials differ. It warns of the other
// failures.
func (a *app) endOfCopy(r transfer.Report, o copyOptions, stopped error) error {
	total := len(r.Copied) + len(r.Same) + len(r.Differs) + len(r.Failed) + len(r.NotBegun)
	if stopped != nil && len(r.Copied)+len(r.Failed) == 0 && nebula.KindOf(stopped) != nebula.ErrInterrupted {
		return stopped
	}
	s := summary{}
	for _, f := range r.Failed {
		s.failed, s.errs = append(s.failed, entryFailure{ID: f.ID}), append(s.errs, f.Err)
	}
	a.warnOf(s, stopped == nil)
	switch {
	case errors.Is(stopped, context.Canceled):
		return &nebula.Error{Kind: nebula.ErrInterrupted, Op: "copy", Err: stopped,
			Message: fmt.Sprintf("interrupted; %d of %d are not done", len(r.NotBegun)+len(r.Failed), total), Hint: "run it again for the rest"}
	case nebula.KindOf(stopped).OfBackend():
		return &nebula.Error{Kind: nebula.KindOf(stopped), Op: "copy", Err: stopped,
			Message: fmt.Sprintf("stopped, since a backend keeps failing; %d of %d are not done: %s", len(r.NotBegun)+len(r.Failed), total, a.failureOf(stopped).Message),
			Hint:    "run it again for the rest"}
	case stopped != nil:
		return stopped
	case len(s.errs) > 0:
		return s.errs[0]
	case len(r.Differs) > 0:
		return &nebula.Error{Kind: nebula.ErrConflict, Op: "copy",
			Message: differ(len(r.Differs)) + ": " + joinIDs(r.Differs),
			Hint:    "to write over them: --overwrite"}
	}
	return nil
}

func differ(n int) string {
	if n == 1 {
		return "1 credential differs at the destination and was left"
	}
	return fmt.Sprintf("%d credentials differ at the destination and were left", n)
}

// byteCount writes a number of bytes for a person.
func byteCount(n int64) string {
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), ""
	for _, unit = range units {
		if value /= 1024; value < 1024 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}
