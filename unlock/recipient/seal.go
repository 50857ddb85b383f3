package recipient

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"github.com/nebula-credential/nebula"
)

// seal encrypts the slot secret for one recipient.
func seal(ctx context.Context, options *Options, recipient string, secret []byte) ([]byte, error) {
	name := PluginOf(recipient)
	if name == "" {
		r, err := parseNative(recipient)
		if err != nil {
			return nil, err
		}
		return encrypt(r, secret)
	}
	if err := checkPluginRecipient(recipient, name); err != nil {
		return nil, err
	}
	if !options.mayStart(name) {
		return nil, &nebula.Error{Kind: nebula.ErrNotSupported, Message: "its recipient needs the plugin " + quote(name) + ", which is not named",
			Hint: "if you trust the program age-plugin-" + name + ": plugins = [\"" + name + "\"] in [key], or --plugin " + name}
	}
	r, err := plugin.NewRecipient(recipient, options.ui(ctx))
	if err != nil {
		return nil, err
	}
	var file []byte
	err = startPlugin(ctx, name, func() (err error) {
		file, err = encrypt(r, secret)
		return err
	})
	return file, err
}

func encrypt(r age.Recipient, secret []byte) ([]byte, error) {
	var file bytes.Buffer
	w, err := age.Encrypt(&file, r)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(secret); err != nil {
		return nil, err
	}
	err = w.Close()
	return file.Bytes(), err
}

// tryPlugin has the plugin of an identity file open the slot.
func (o *opening) tryPlugin(id pluginIdentity) ([]byte, error) {
	with, err := plugin.NewIdentity(id.encoding, o.options.ui(o.ctx))
	if err != nil {
		return nil, err
	}
	var secret []byte
	var inSlot error
	err = startPlugin(o.ctx, id.name, func() (failure error) {
		secret, failure, inSlot = o.decrypt(with)
		return failure
	})
	switch {
	case o.ctx.Err() != nil:
		return nil, o.ctx.Err()
	case err != nil:
		o.note(err)
		return nil, nil
	}
	return secret, inSlot
}

// startPlugin calls a function that starts a plugin. The program cannot be
// stopped: if the context ends first, it is left behind.
func startPlugin(ctx context.Context, name string, run func() error) error {
	if strings.Contains(os.Getenv("AGEDEBUG"), "plugin") {
		return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "AGEDEBUG is set, with which age prints the keys that it exchanges with plugins",
			Hint: "unset AGEDEBUG"}
	}
	done := make(chan error, 1)
	go func() { done <- run() }()
	select {
	case err := <-done:
		return explainPlugin(name, err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func explainPlugin(name string, err error) error {
	missing := new(plugin.NotFoundError)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &missing):
		return &nebula.Error{Kind: nebula.ErrNotSupported, Err: err, Message: "the program age-plugin-" + name + " is not there",
			Hint: "install it in a directory of PATH"}
	}
	return &nebula.Error{Kind: nebula.ErrUnavailable, Err: err, Message: "the plugin " + quote(name) + " failed: " + quote(err.Error())}
}

// ui passes on messages and questions of a plugin. age needs one that is not nil.
func (o *Options) ui(ctx context.Context) *plugin.ClientUI {
	nobody := errors.New("nobody can be asked")
	tell := func(name, text string) error {
		if o.Tell != nil {
			o.Tell("plugin " + name + ": " + text)
		}
		return nil
	}
	ask := func(name, prompt string, secret bool) (string, error) {
		if o.Ask == nil {
			return "", nobody
		}
		return o.Ask(ctx, "plugin "+name+": "+prompt, secret)
	}
	return &plugin.ClientUI{
		DisplayMessage: tell,
		RequestValue:   ask,
		Confirm: func(name, prompt, yes, no string) (bool, error) {
			if no == "" {
				_, err := ask(name, prompt+" ("+yes+")", false)
				return true, err
			}
			answer, err := ask(name, prompt+" ("+yes+"/"+no+")", false)
			return strings.EqualFold(strings.TrimSpace(answer), yes), err
		},
		WaitTimer: func(name string) { _ = tell(name, "it is still waited for") },
	}
}
