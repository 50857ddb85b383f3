package main

import (
	"context"
	"encoding/base64"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/reference"
)

type getOptions struct {
	id      nebula.ID
	version nebula.Version // "" is the current one
	field   string         // of a JSON value; "" is the whole value
	clip    clipOptions
}

func getCommand(run func(context.Context, getOptions) error) *cobra.Command {
	var o getOptions
	var version string
	cmd := &cobra.Command{
		Use:   "get ID",
		Short: "Write a value to standard output",
		Long: `Write the exact bytes of a value to standard output. On a terminal a newline
follows. With -o json, get adds the metadata, and writes a value that is not
UTF-8 text in base64.

If the value is JSON, --field writes one member: its name, a dotted path
(db.hosts.0), or a JSON Pointer (/db/hosts/0).

With --clip, get copies the value to the clipboard instead, without the newline
at its end. It clears the clipboard after 45 seconds if that still holds the
value. Every program of the session can read it meanwhile. Over SSH, --osc52
asks the terminal to copy it; that clipboard is not cleared.`,
		Example: `  nebula get github_token
  nebula get tls_key > key.pem
  nebula get github_token -o json | jq -r .metadata.created_at
  nebula get db --field password
  nebula get db --field password --clip`,
		Args: oneID,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.id, err = parseID(args[0]); err != nil {
				return err
			}
			if cmd.Flags().Changed("version") && version == "" {
				return usage("--version is empty", "to see the versions: nebula history "+args[0])
			}
			if cmd.Flags().Changed("field") && o.field == "" {
				return usage("--field is empty", "")
			}
			if err := o.clip.check(cmd); err != nil {
				return err
			}
			o.version = nebula.Version(version)
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&version, "version", "", "an earlier version `V`, where the backend keeps them")
	cmd.Flags().StringVar(&o.field, "field", "", "one member `F` of a JSON value")
	o.clip.flags(cmd)
	return cmd
}

type credentialJSON struct {
	ID       nebula.ID      `json:"id"`
	Value    string         `json:"value"`
	Encoding string         `json:"encoding"`
	Version  nebula.Version `json:"version"`
	Metadata *metadataJSON  `json:"metadata"`

	LastKnown *time.Time `json:"last_known,omitempty"` // see nebula.Credential
}

func (a *app) get(ctx context.Context, o getOptions) error {
	give := a.printValue
	if o.clip.isOn() {
		var err error
		if give, err = a.clipboard(o.clip); err != nil {
			return err
		}
	}
	return a.withStore(ctx, func(s *config.Opened) error {
		c, err := read(ctx, s, o)
		if err == nil {
			err = o.selectField(&c)
		}
		if err != nil {
			return err
		}
		defer c.Secret.Wipe()
		return give(ctx, c)
	})
}

func (a *app) printValue(_ context.Context, c nebula.Credential) error {
	if a.global.output == outputJSON {
		return outputError(writeJSON(a.stdout, credentialOf(c)))
	}
	value := c.Secret.Reveal()
	if a.stdoutIsTerminal {
		value = append(value[:len(value):len(value)], '\n')
		defer clear(value)
	}
	_, err := a.stdout.Write(value)
	return outputError(err)
}

func read(ctx context.Context, s *config.Opened, o getOptions) (nebula.Credential, error) {
	if o.version != "" {
		return s.GetVersion(ctx, o.id, o.version)
	}
	return s.Get(ctx, o.id)
}

// selectField replaces the value by the requested field.
func (o getOptions) selectField(c *nebula.Credential) error {
	if o.field == "" {
		return nil
	}
	whole := c.Secret
	defer whole.Wipe()
	value, err := reference.Reference{ID: o.id, Field: o.field}.Select(whole.Reveal())
	c.Secret = nebula.NewSecret(value)
	return err
}

func credentialOf(c nebula.Credential) credentialJSON {
	out := credentialJSON{ID: c.ID, Version: c.Version, Metadata: metadataOf(c.Metadata), Encoding: "utf8"}
	if !c.LastKnown.IsZero() {
		out.LastKnown = &c.LastKnown
	}
	if value := c.Secret.Reveal(); utf8.Valid(value) {
		out.Value = string(value)
	} else {
		out.Value, out.Encoding = base64.StdEncoding.EncodeToString(value), "base64"
	}
	return out
}
