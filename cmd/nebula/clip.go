package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/clip"
	"github.com/nebula-credential/nebula/internal/process"
)

// clipOptions say whether and how a value goes to the clipboard.
type clipOptions struct {
	session  bool          // that of the desktop session
	terminal bool          // that of the terminal
	after    time.Duration // it is cleared; 0 is never
}

func (o *clipOptions) flags(cmd *cobra.Command) {
	const after = 45 * time.Second
	cmd.Flags().BoolVar(&o.session, "clip", false, "to the clipboard, and not to standard output")
	cmd.Flags().BoolVar(&o.terminal, "osc52", false, "to the clipboard of the terminal, also over SSH")
	cmd.Flags().DurationVar(&o.after, "clear-after", after, "clear the clipboard after a `time`, such as 10s; 0 is never (default 45s)")
}

func (o *clipOptions) isOn() bool { return o.session || o.terminal }

func (o *clipOptions) check(cmd *cobra.Command) error {
	changed := cmd.Flags().Changed
	switch output := cmd.Flag("output"); {
	case o.isOn() && output.Changed && output.Value.String() == outputJSON:
		return usage("what goes to the clipboard is the value alone: -o json does not go with --clip", "")
	case changed("clear-after") && !o.isOn():
		return usage("--clear-after is for the clipboard", "to put the value there: --clip")
	case changed("clear-after") && o.terminal && o.after != 0:
		return usage("the clipboard of a terminal cannot be read, and so it is not cleared: --clear-after does not go with --osc52", "")
	case o.after < 0:
		return usage("--clear-after must be a duration, such as 10s or 2m; 0 is never", "")
	}
	return nil
}

// clipboard returns the clipboard, if there is one.
func (a *app) clipboard(o clipOptions) (func(context.Context, nebula.Credential) error, error) {
	if o.terminal {
		terminal, err := a.openConsole()
		if err != nil {
			return nil, &nebula.Error{Kind: nebula.ErrNotSupported, Op: "get", Message: "there is no terminal with a clipboard for the value", Err: err}
		}
		return func(_ context.Context, c nebula.Credential) error {
			defer terminal.close()
			return a.toTerminal(terminal, c)
		}, nil
	}
	board, err := clip.Find(a.environ)
	if err != nil {
		return nil, noClipboard(err)
	}
	return func(ctx context.Context, c nebula.Credential) error { return a.toSession(ctx, board, o.after, c) }, nil
}

func noClipboard(err error) error {
	e := &nebula.Error{Kind: nebula.ErrNotSupported, Op: "get", Message: err.Error(), Err: err,
		Hint: "a terminal, also over SSH, can take the value to its own clipboard: --osc52"}
	var missing *clip.Missing
	if errors.As(err, &missing) && missing.Hint != "" {
		e.Hint = missing.Hint + "; " + e.Hint
	}
	return e
}

// clipText returns the text of a value for a clipboard.
func clipText(c nebula.Credential) ([]byte, error) {
	text := config.TrimLine(c.Secret.Reveal())
	reason := ""
	switch {
	case len(text) == 0:
		reason = "the value is empty, and the clipboard was left as it is"
	case !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0:
		reason = "the value is not text, and a clipboard would change it"
	default:
		return text, nil
	}
	return nil, &nebula.Error{Kind: nebula.ErrUsage, Op: "get", ID: c.ID, Message: reason}
}

// toTerminal sends the value in the sequence of xterm that many terminals know. They
// do not answer.
func (a *app) toTerminal(terminal *console, c nebula.Credential) error {
	const most = 74994 // bytes: 100,000 of the sequence are what terminals take
	text, err := clipText(c)
	if err != nil {
		return err
	}
	if len(text) > most {
		return &nebula.Error{Kind: nebula.ErrTooLarge, Op: "get", ID: c.ID, Message: fmt.Sprintf("the value has %d bytes, and terminals accept at most %d", len(text), most)}
	}
	sequence := fmt.Appendf(nil, "\x1b]52;c;%s\a", base64.StdEncoding.EncodeToString(text))
	defer clear(sequence)
	if _, err := terminal.out.Write(sequence); err != nil {
		return outputError(err)
	}
	a.tell(fmt.Sprintf("%s was sent to the terminal's clipboard; the terminal does not say whether it took it, and it is not cleared", c.ID))
	return nil
}

func (a *app) toSession(ctx context.Context, board *clip.Clipboard, after time.Duration, c nebula.Credential) error {
	text, err := clipText(c)
	if err != nil {
		return err
	}
	if board.Buffer != "" && !process.InMemory(board.Buffer) {
		a.warn("wl-copy keeps the value in a file of yours in " + board.Buffer + " for as long as the clipboard has it, and that may be on a disk")
	}
	if after == 0 {
		if err := board.Copy(ctx, text); err != nil {
			return notCopied(ctx, c.ID, err)
		}
		a.done(string(c.ID) + " is in the clipboard, and stays there")
		return nil
	}
	later, err := a.startClearer()
	if err != nil {
		return &nebula.Error{Kind: nebula.ErrInternal, Op: "get", ID: c.ID, Message: "the process that clears the clipboard could not be started, and the clipboard was left as it is", Err: err}
	}
	if err := board.Copy(ctx, text); err != nil {
		later.abandon()
		return notCopied(ctx, c.ID, err)
	}
	if err := later.clear(clearing{After: after, Mark: clip.MarkOf(text)}); err != nil {
		a.warn("the clipboard has the value, and will not be cleared: " + err.Error())
		return nil
	}
	a.done(fmt.Sprintf("%s is in the clipboard, which is cleared after %s", c.ID, after))
	return nil
}

func notCopied(ctx context.Context, id nebula.ID, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &nebula.Error{Kind: nebula.ErrNotSupported, Op: "get", ID: id, Message: "the clipboard did not take the value: " + err.Error(), Err: err,
		Hint: "is the desktop session that WAYLAND_DISPLAY or DISPLAY names there? A terminal can take the value to its own clipboard: --osc52"}
}
