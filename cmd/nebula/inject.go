package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/template"
)

// maxTemplate is how large a template may be, in bytes.
const maxTemplate = 16 << 20

type injectOptions struct {
	in, out string // "" is a standard stream
	mode    os.FileMode
	modeSet bool
}

func injectCommand(run func(context.Context, injectOptions) error) *cobra.Command {
	var o injectOptions
	var mode string
	cmd := &cobra.Command{
		Use:   "inject",
		Short: "Put credentials into the placeholders of a template",
		Long: `Put credentials into the placeholders of a template. A placeholder is

  {{ nebula://[STORE/]ID[?version=V][#FIELD] [| FILTER]… }}

on one line. Everything else stays as it is, also the {{ … }} of other
languages. If a value ends with a newline, inject cuts that one newline.

Filters: json and shell quote a value, quotes included; base64; url (percent
encoding); indent N puts N spaces before each line but the first; exact keeps
the newline at the end. A value that is not UTF-8 text needs base64.

inject replaces a file as a whole, and only if it changes. If anything is wrong,
inject reports all of it, with line and column, and writes nothing.`,
		Example: `  nebula inject --in app.yaml.tmpl --out app.yaml
  echo 'token = {{ nebula://github_token | json }}' | nebula inject`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			for _, path := range []struct{ flag, value string }{{"in", o.in}, {"out", o.out}} {
				switch {
				case cmd.Flags().Changed(path.flag) && path.value == "":
					return usage("--"+path.flag+" is empty", "")
				case config.LooksLikeKey(path.value):
					return keyForPath("--" + path.flag)
				}
			}
			if o.modeSet = mode != ""; o.modeSet {
				if o.mode, err = parseMode(mode); err != nil {
					return err
				}
			}
			return run(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.in, "in", "", "read the template from `file`, not from standard input")
	flags.StringVar(&o.out, "out", "", "write `file`, whole or not at all, not standard output")
	flags.StringVar(&mode, "mode", "", "the mode of the file, such as 0640; default 0600")
	return cmd
}

// parseMode reads the mode of a file, which its owner can read and only its owner
// or its group can write.
func parseMode(text string) (os.FileMode, error) {
	n, err := strconv.ParseUint(text, 8, 32)
	if mode := os.FileMode(n); err == nil && mode&^0o777 == 0 && mode&0o400 != 0 && mode&0o002 == 0 {
		return mode, nil
	}
	return 0, usage("--mode must be a mode such as 0640, readable by the owner and writable by nobody else than owner and group", "")
}

func (a *app) inject(ctx context.Context, o injectOptions) error {
	if o.out == "" && (a.global.output == outputJSON || o.modeSet) {
		return usage("-o json and --mode are for a file", "give the file with --out F")
	}
	text, err := a.readTemplate(ctx, o.in)
	if err != nil {
		return err
	}
	t, err := template.Parse(text)
	if err != nil {
		return a.templateError(o.in, err)
	}
	out, err := a.execute(ctx, t)
	if err != nil {
		return a.templateError(o.in, err)
	}
	defer clear(out)
	if o.out == "" {
		_, err := a.stdout.Write(out)
		return outputError(err)
	}
	changed, err := o.replace(out)
	if err != nil {
		return err
	}
	return a.printInjected(o, changed, len(t.References()))
}

// readTemplate waits for the writer of a pipe without the clock of the command.
func (a *app) readTemplate(ctx context.Context, path string) ([]byte, error) {
	in, name := a.stdin, "standard input"
	if path != "" {
		f, err := os.Open(path)
		if err != nil {
			return nil, usage("--in "+path+": "+atomicfile.Reason(err), "")
		}
		defer f.Close()
		in, name = f, path
	} else if a.stdinIsTerminal {
		a.tell("reading the template from the terminal; end it with Ctrl-D, or name a file with --in")
	}
	defer a.pause()()
	text, err := within(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(in, maxTemplate+1)) })
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, usage(name+" cannot be read: "+atomicfile.Reason(err), "")
	case len(text) > maxTemplate:
		return nil, &nebula.Error{Kind: nebula.ErrTooLarge, Message: fmt.Sprintf("%s: a template has at most %d bytes", name, maxTemplate)}
	}
	return text, nil
}

// execute reads the credentials that the template names and puts them in. Then it
// closes the stores.
func (a *app) execute(ctx context.Context, t *template.Template) ([]byte, error) {
	c, err := a.load()
	if err != nil {
		return nil, err
	}
	refs := t.References()
	for i := range refs {
		if refs[i].Store == "" {
			refs[i].Store = a.global.store
		}
	}
	resolved, err := c.Resolve(ctx, refs, a.options())
	if err != nil {
		return nil, err
	}
	results := make([]template.Result, len(resolved))
	for i, r := range resolved {
		defer r.Value.Wipe()
		results[i] = template.Result{Value: r.Value.Reveal(), Err: r.Err}
	}
	return t.Execute(results)
}

// templateError reports all problems of a template, each with its place.
func (a *app) templateError(path string, err error) error {
	var first *template.Problem
	if !errors.As(err, &first) {
		return err
	}
	if path == "" {
		path = "standard input"
	}
	told := &nebula.Error{Kind: nebula.KindOf(first.Err), Op: "inject", Err: err, Message: "nothing was written"}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		told.Message += "\n" + path + ":" + line
	}
	return told
}

// replace writes the file if it changes, and reports whether it did.
func (o injectOptions) replace(text []byte) (changed bool, err error) {
	mode := os.FileMode(0o600)
	if o.modeSet {
		mode = o.mode
	}
	path := atomicfile.Resolve(o.out)
	if info, err := os.Lstat(path); err == nil && (info.Mode() == mode || runtime.GOOS == "windows") && info.Size() == int64(len(text)) {
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
			return false, nil
		}
	}
	err = writeFile(path, func(f atomicfile.Filling) error { _, err := f.Write(text); return err })
	if err == nil && o.modeSet {
		err = outFileError(path, os.Chmod(path, mode))
	}
	return true, err
}

type injectJSON struct {
	Out        string `json:"out"`
	Changed    bool   `json:"changed"`
	References int    `json:"references"`
}

func (a *app) printInjected(o injectOptions, changed bool, references int) error {
	if a.global.output == outputJSON {
		return outputError(writeJSON(a.stdout, injectJSON{o.out, changed, references}))
	}
	if changed {
		a.done(fmt.Sprintf("wrote %s, %s", o.out, plural(references)))
	} else {
		a.done(o.out + " is as it was")
	}
	return nil
}
