package main

import (
	"fmt"
	"io"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/takeover"
)

type takeoverJSON struct {
	Source   string         `json:"source"`
	Secrets  []takenJSON    `json:"secrets"`
	Imported []nebula.ID    `json:"imported"`
	Same     []nebula.ID    `json:"same"`
	Differs  []nebula.ID    `json:"differs"`
	Failed   []entryFailure `json:"failed"`
	NotBegun int            `json:"not_begun,omitempty"`
}

// takenJSON is a secret of the source: the name there, and the id here.
type takenJSON struct {
	Name string    `json:"name"`
	ID   nebula.ID `json:"id,omitempty"`
	Note string    `json:"note,omitempty"`
}

// outcome sorts the secrets. In a dry run, what would be stored counts as imported.
func (a *app) outcome(plan *takeover.Plan, o importOptions) (out takeoverJSON, failed []error) {
	out = takeoverJSON{Source: o.source, Secrets: []takenJSON{}, Imported: []nebula.ID{}, Same: []nebula.ID{}, Differs: []nebula.ID{}, Failed: []entryFailure{}}
	for _, item := range plan.Items {
		out.Secrets = append(out.Secrets, takenJSON{item.Name, item.ID, item.Note})
		switch item.State {
		case takeover.Imported:
			out.Imported = append(out.Imported, item.ID)
		case takeover.Same:
			out.Same = append(out.Same, item.ID)
		case takeover.Differs:
			if o.dryRun && o.overwrite {
				out.Imported = append(out.Imported, item.ID)
			} else {
				out.Differs = append(out.Differs, item.ID)
			}
		case takeover.Failed:
			f := a.failureOf(item.Err)
			out.Failed = append(out.Failed, entryFailure{item.ID, f.Kind, f.Message})
			failed = append(failed, item.Err)
		case takeover.New:
			if o.dryRun {
				out.Imported = append(out.Imported, item.ID)
			} else {
				out.NotBegun++
			}
		}
	}
	return out, failed
}

// printTaken prints the outcome, and in a dry run that for each secret.
func (a *app) printTaken(plan *takeover.Plan, o importOptions) error {
	out, _ := a.outcome(plan, o)
	for _, item := range plan.Items {
		if item.Note != "" && item.State != takeover.LeftOut {
			a.warn(fmt.Sprintf("%s: %s", item.Name, item.Note))
		}
	}
	return a.print(out, func(w io.Writer) error {
		if o.dryRun && len(plan.Items) > 0 {
			rows := [][]string{{"NAME", "ID", "STATE"}}
			for _, item := range plan.Items {
				rows = append(rows, []string{item.Name, orDash(string(item.ID)), stateText(item)})
			}
			if err := a.table(w, rows); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintln(w, takenLine(out, o))
		return err
	})
}

func stateText(item takeover.Item) string {
	text := item.State.String()
	switch {
	case item.State == takeover.Failed:
		switch text = "cannot be read"; {
		case item.Misnamed && nebula.KindOf(item.Err) == nebula.ErrInvalidID:
			text = "no id"
		case item.Misnamed:
			text = "collides"
		}
	case item.ID != "" && string(item.ID) != item.Name:
		text += ", renamed"
	}
	return text
}

func takenLine(out takeoverJSON, o importOptions) string {
	verb := "imported"
	if o.dryRun {
		verb = "would import"
	}
	text := fmt.Sprintf("%s %s, %d there already", verb, plural(len(out.Imported)), len(out.Same))
	for _, more := range []struct {
		n    int
		what string
	}{{len(out.Differs), "there and different"}, {len(out.Failed), "failed"}, {out.NotBegun, "not begun"}} {
		if more.n > 0 {
			text += fmt.Sprintf(", %d %s", more.n, more.what)
		}
	}
	return text
}

// endOfPlan returns the reason why the run is not a success.
func (a *app) endOfPlan(plan *takeover.Plan, o importOptions, stopped error) error {
	if err := plan.NameError(); o.dryRun && err != nil {
		return err
	}
	out, errs := a.outcome(plan, o)
	all := summary{failed: out.Failed, errs: errs}
	a.warnOf(all, stopped == nil)
	switch {
	case stopped != nil:
		return stopped
	case len(errs) > 0:
		return errs[0]
	case len(out.Differs) > 0:
		return &nebula.Error{Kind: nebula.ErrConflict, Op: "import", Message: "there already, with another value: " + joinIDs(out.Differs),
			Hint: "they stay as they are; to replace them: --overwrite"}
	}
	return nil
}
