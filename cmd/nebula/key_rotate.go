package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

type rotateOptions struct {
	drop   []string
	leave  []string
	resume bool
	yes    bool
}

func keyRotateCommand(run func(context.Context, rotateOptions) error) *cobra.Command {
	var o rotateOptions
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Replace the data key and seal every credential anew",
		Long: `Replace the data key: every slot then holds a new one, and every credential is
sealed anew under it. Credentials can be read and written meanwhile. If key
rotate is interrupted, run it again: it goes on.

The key of every slot has to be at hand, a key file and the passphrase for
example. NEBULA_KEY_FILE names several key files, joined as in PATH. --drop
leaves a slot out. If a record cannot be read, the rotation does not end until
you restore or delete the record, or name it with --leave.

If the backend cannot refuse a writer that still holds the old key, key rotate
waits some minutes for such writers. Two stores that share a data key, because
one was copied from the other, do not share it afterwards.`,
		Example: `  nebula key rotate
  nebula key rotate --drop abcd2345
  nebula key rotate --resume
  nebula key rotate --resume --leave broken_token --yes`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		Annotations:       map[string]string{slow: unlimited},
		RunE:              func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&o.drop, "drop", nil, "leave `SLOT` out; may be repeated")
	flags.StringArrayVar(&o.leave, "leave", nil, "leave the record `NAME` as it is, which cannot be read; may be repeated")
	flags.BoolVar(&o.resume, "resume", false, "end a rotation that was begun, and begin none")
	flags.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	return cmd
}

type rotateJSON struct {
	KeyID  string      `json:"key_id"`
	Sealed int         `json:"sealed"`
	Left   []entryJSON `json:"left"`
}

func (a *app) keyRotate(ctx context.Context, o rotateOptions) error {
	if asks := !o.resume || len(o.leave) > 0; asks && !o.yes && !a.stdinIsTerminal {
		return usage("key rotate needs --yes if there is no terminal to ask at", "")
	}
	return a.withStore(ctx, func(s *config.Opened) error {
		info, err := s.Store.Keys(ctx)
		if err != nil {
			return during("rotate", err)
		}
		if !info.Rotating && !o.resume && !o.yes {
			// Ask for passphrases first: one that is typed at the question
			// would show.
			if err := s.UnlockSlots(ctx, o.drop); err != nil {
				return err
			}
			if err := a.confirm(ctx, rotateQuestion(info, o.drop, s.Keys.Place())); err != nil {
				return err
			}
		}
		if len(o.leave) > 0 && !o.yes {
			if err := a.confirm(ctx, leaveQuestion(o.leave, "the data key is destroyed")); err != nil {
				return err
			}
		}
		result, err := a.rotate(ctx, s, o)
		if err != nil {
			return resumable(err, result)
		}
		out := rotateJSON{KeyID: result.KeyID.String(), Sealed: result.Sealed, Left: []entryJSON{}}
		a.tellNewID(result.KeyID)
		for _, e := range result.Left {
			a.warn(fmt.Sprintf("%s cannot be read and is left as it was: %s", e.ID, a.failureOf(e.Err).Message))
			out.Left = append(out.Left, a.entryOf(e))
		}
		return a.print(out, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "data key %s; %s sealed anew\n", out.KeyID, plural(out.Sealed))
			return err
		})
	})
}

// tellNewID says what to distribute after a rotation. Anyone who left and knows
// the old key can make a keyring that a client with the old id accepts.
func (a *app) tellNewID(id nebula.KeyID) {
	a.tell(a.forStore("if the id of the data key is configured, change it to: id = \"" + id.String() + "\" in [key], or NEBULA_KEY_ID=" + id.String()))
}

// resumable says how to go on with a rotation.
func resumable(err error, result nebula.RotateResult) error {
	begun := result.KeyID != nebula.KeyID{}
	kind := nebula.KindOf(err)
	if !begun || kind != nebula.ErrInterrupted && kind != nebula.ErrTimeout && kind != nebula.ErrUnavailable {
		return err
	}
	out := &nebula.Error{Kind: kind, Op: "rotate", Message: err.Error(), Err: err}
	var e *nebula.Error
	if errors.As(err, &e) {
		*out = *e
		out.Err = err
	}
	if kind == nebula.ErrInterrupted {
		out.Message = "interrupted"
	}
	out.Hint = "the rotation has begun, nothing is lost, and it goes on with: nebula key rotate --resume"
	return out
}

// leaveQuestion says what leaving records means.
func leaveQuestion(names []string, then string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = shorten(name)
	}
	return fmt.Sprintf("Leave %s as they are? Anything under the old data key is lost once %s.", strings.Join(quoted, ", "), then)
}

// rotateQuestion says who will hold the new key.
func rotateQuestion(info nebula.KeyInfo, drop []string, place string) string {
	var holders []string
	for _, slot := range info.Slots {
		if !slices.Contains(drop, slot.ID) {
			holders = append(holders, slot.ID+" ("+slot.Kind+")")
		}
	}
	return fmt.Sprintf("The new data key of %s will be held by: %s.\nReplace the data key?", place, strings.Join(holders, ", "))
}

func (a *app) rotate(ctx context.Context, s *config.Opened, o rotateOptions) (nebula.RotateResult, error) {
	total, err := countAll(ctx, s)
	if err != nil {
		return nebula.RotateResult{}, err
	}
	shown, waiting := a.progress("sealing", total), func() {}
	waited := false
	defer func() { waiting(); shown.end() }()
	return s.Rotate(ctx, nebula.RotateOptions{
		Drop:       o.drop,
		Leave:      o.leave,
		ResumeOnly: o.resume,
		Progress: func(looked, _ int) {
			waiting()
			if waited {
				shown, waited = a.progress("looking again at", total), false
			}
			shown.set(looked)
		},
		Waiting: func(w nebula.RotateWait) {
			shown.end()
			waiting()
			waiting = a.countDown(w.Duration, w.Reason)
			waited = true
		},
	})
}

// countAll returns the number of credentials.
func countAll(ctx context.Context, s *config.Opened) (int, error) {
	n := 0
	for _, err := range s.List(ctx, nebula.ListOptions{}) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}
