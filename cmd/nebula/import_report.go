package main

import (
	"fmt"
	"io"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/transfer"
)

type importJSON struct {
	Source      originJSON     `json:"source"`
	Initialised bool           `json:"initialised"`
	Imported    []nebula.ID    `json:"imported"`
	Same        []nebula.ID    `json:"same"`
	Differs     []nebula.ID    `json:"differs"`
	Failed      []entryFailure `json:"failed"`
	NotBegun    int            `json:"not_begun,omitempty"`
}

// originJSON is what an export says about itself.
type originJSON struct {
	Address   string `json:"address"`
	CreatedAt string `json:"created_at"`
}

func (a *app) printImport(r transfer.ImportReport, b *transfer.Backup, o importOptions) error {
	h := b.Header()
	out := importJSON{
		Source:      originJSON{h.Address, formatTime(h.CreatedAt)},
		Initialised: r.Initialised,
		Imported:    notNil(r.Imported), Same: notNil(r.Same), Differs: notNil(r.Differs),
		Failed: a.failures(r.Failed), NotBegun: r.NotBegun,
	}
	return a.print(out, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, importLine(r, o))
		return err
	})
}

func notNil(ids []nebula.ID) []nebula.ID {
	if ids == nil {
		return []nebula.ID{}
	}
	return ids
}

func (a *app) failures(entries []nebula.Entry) []entryFailure {
	out := make([]entryFailure, 0, len(entries))
	for _, e := range entries {
		f := a.failureOf(e.Err)
		out = append(out, entryFailure{e.ID, f.Kind, f.Message})
	}
	return out
}

// importLine returns the outcome in one line.
func importLine(r transfer.ImportReport, o importOptions) string {
	verb := "imported"
	if o.dryRun {
		verb = "would import"
	}
	text := fmt.Sprintf("%s %s, %d there already", verb, plural(len(r.Imported)), len(r.Same))
	if len(r.Differs) > 0 {
		text += fmt.Sprintf(", %d there and different", len(r.Differs))
	}
	if len(r.Failed) > 0 {
		text += fmt.Sprintf(", %d failed", len(r.Failed))
	}
	if r.NotBegun > 0 {
		text += fmt.Sprintf(", %d not begun", r.NotBegun)
	}
	if r.Initialised {
		text += "; with the keyring"
	}
	return text
}

// endOfImport returns the reason why the run ended early, or the first failure.
// It warns of the other failures.
func (a *app) endOfImport(r transfer.ImportReport, stopped error) error {
	all := summary{failed: a.failures(r.Failed)}
	for _, e := range r.Failed {
		all.errs = append(all.errs, e.Err)
	}
	a.warnOf(all, stopped == nil)
	switch {
	case stopped != nil:
		return stopped
	case len(all.errs) > 0:
		return all.errs[0]
	case len(r.Differs) > 0:
		return &nebula.Error{Kind: nebula.ErrConflict, Op: "import",
			Message: "there already, with another value or other metadata: " + joinIDs(r.Differs),
			Hint:    "they stay as they are; to replace them: --overwrite"}
	}
	return nil
}
