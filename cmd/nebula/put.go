package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// valueHint is for anyone who gives the value as an argument, where other
// processes and the shell's history would see it.
const valueHint = "a value comes from standard input, a file or a hidden prompt:\n" +
	"  pass show github | nebula put github_token --trim\n" +
	"  nebula put github_token --file token.txt"

// maxValue is the greatest value that is read if the provider names no limit.
const maxValue = 16 << 20

type putOptions struct {
	id         nebula.ID
	file       string // "" is standard input
	allowEmpty bool
	trim       bool
	generate   int // characters; 0: the value is read
	alphabet   string
	put        nebula.PutOptions
}

func putCommand(run func(context.Context, putOptions) error) *cobra.Command {
	var o putOptions
	var tags []string
	var days, version string
	cmd := &cobra.Command{
		Use:   "put ID",
		Short: "Store a value",
		Long: `Store the exact bytes of standard input, of a file, or of what you type twice at
a hidden prompt. Many programs end what they print with a newline: --trim cuts
it. If there is a credential with that id, it keeps its creation time, tags and
rotation; --tag adds to the tags. With --generate, put makes a random value. It
reads no input then, and shows the value nowhere.`,
		Example: `  nebula put github_token                        asks for the value
  printf %s "$TOKEN" | nebula put github_token
  pass show github | nebula put github_token --trim
  nebula put tls_key --file key.pem --tag env=prod --rotation-days 90
  nebula put db_password --generate 32`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(fmt.Sprintf("put takes one id, and got %d arguments; a value is never given as an argument", len(args)), valueHint)
			}
			return oneID(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.id, err = nebula.ParseID(args[0]); err != nil {
				return unnamed(err, args[0])
			}
			if o.put.Tags, err = parseTags(tags); err != nil {
				return err
			}
			if cmd.Flags().Changed("if-version") && version == "" {
				return usage("--if-version is empty", "for a credential that must not be there: --if-absent")
			}
			o.put.IfVersion = nebula.Version(version)
			if o.put.IfAbsent && version != "" {
				return usage("--if-absent and --if-version exclude each other", "")
			}
			if cmd.Flags().Changed("file") && o.file == "" {
				return usage("--file is empty", "")
			}
			if config.LooksLikeKey(o.file) {
				return keyForPath("--file")
			}
			if err := o.checkGenerate(cmd); err != nil {
				return err
			}
			if cmd.Flags().Changed("rotation-days") {
				if o.put.RotationPolicy, err = parseDays(days); err != nil {
					return err
				}
			}
			return run(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.file, "file", "f", "", "read the value from `file`; - is standard input")
	flags.StringArrayVarP(&tags, "tag", "t", nil, "set a tag, `key=value`; may be repeated")
	flags.BoolVar(&o.put.ClearTags, "clear-tags", false, "drop the tags that are there")
	flags.BoolVar(&o.put.IfAbsent, "if-absent", false, "exit code 7 if there is one already")
	flags.StringVar(&version, "if-version", "", "exit code 7 unless the current version is `V`")
	flags.StringVar(&days, "rotation-days", "", "to be replaced every `N` days; 0 is never")
	flags.IntVar(&o.generate, "generate", 0, "store a random value of `N` characters, 1 to 4096")
	flags.StringVar(&o.alphabet, "alphabet", "", "the characters for --generate: alnum, the default, hex, symbols (alnum and punctuation), or at least 2 ASCII characters, such as 0123456789")
	flags.BoolVar(&o.trim, "trim", false, "cut one newline at the end")
	flags.BoolVar(&o.allowEmpty, "allow-empty", false, "store an empty value")
	flags.BoolVar(&o.put.Force, "force", false, "replace a record that cannot be read; its tags are lost")
	return cmd
}

// unnamed leaves out the refused id, since it may be the value, given as an
// argument by mistake. It treats a text that can only be a path of names
// differently.
func unnamed(err error, arg string) error {
	var e *nebula.Error
	reason := "see nebula put --help"
	if errors.As(err, &e) {
		reason = e.Message[strings.LastIndex(e.Message, ": ")+2:]
	}
	hint := valueHint
	if near := nearID(arg); near != "" && regexp.MustCompile(`^[A-Za-z][a-z_-]{0,19}[0-9]{0,2}([/.][A-Za-z][a-z_-]{0,19}[0-9]{0,2})+$`).MatchString(arg) {
		hint = "did you mean: nebula put " + near
	}
	return &nebula.Error{Kind: nebula.ErrInvalidID, Message: "the first argument is not an id: " + reason, Hint: hint}
}

type versionJSON struct {
	ID      nebula.ID      `json:"id"`
	Version nebula.Version `json:"version"`
}

func (a *app) put(ctx context.Context, o putOptions) error {
	return a.withStore(ctx, func(s *config.Opened) error {
		value, err := a.readValue(ctx, o, s.Describe())
		if err != nil {
			return err
		}
		if o.trim {
			value = config.TrimLine(value)
		} else if o.generate == 0 && a.isPiped(o) && endsLine(value) {
			a.hintTrim()
		}
		secret := nebula.NewSecret(value)
		clear(value)
		defer secret.Wipe()
		if secret.Len() == 0 && !o.allowEmpty {
			return &nebula.Error{Kind: nebula.ErrUsage, ID: o.id, Op: "put", Message: "the value is empty, and nothing was stored",
				Hint: a.emptyHint(o)}
		}
		a.allowSlowStore(s.Describe())
		v, err := s.Put(ctx, o.id, secret, o.put)
		if err != nil {
			return err
		}
		a.done("stored " + string(o.id))
		return a.printVersion(o.id, v)
	})
}

// isPiped reports whether the value comes from another program.
func (a *app) isPiped(o putOptions) bool {
	return (o.file == "" || o.file == "-") && !a.stdinIsTerminal
}

// endsLine reports whether a value is a single line with the newline that
// programs add.
func endsLine(value []byte) bool {
	return len(value) > 1 && bytes.IndexByte(value, '\n') == len(value)-1
}

// hintTrim warns a person, and no script, of a newline that they may not want.
func (a *app) hintTrim() {
	if a.stderrIsTerminal && a.global.output == outputText {
		a.warn("the value ends in a newline, which is stored too; --trim cuts it")
	}
}

// emptyHint says where an empty value may come from.
func (a *app) emptyHint(o putOptions) string {
	const deliberate = "to store an empty value: --allow-empty"
	if !a.isPiped(o) {
		return deliberate
	}
	return "did the command before the pipe fail? " + deliberate
}

func (a *app) printVersion(id nebula.ID, v nebula.Version) error {
	return a.print(versionJSON{id, v}, func(io.Writer) error { return nil })
}

// readValue reads the value from the place that the options name.
func (a *app) readValue(ctx context.Context, o putOptions, d nebula.Description) ([]byte, error) {
	limit := maxValue
	if d.MaxRecordSize > 0 {
		limit = d.MaxRecordSize // a record is never smaller than its value
	}
	tooLarge := func(err error) error {
		if !errors.Is(err, errTooMuch) {
			return err
		}
		return &nebula.Error{Kind: nebula.ErrTooLarge, Op: "put", Provider: d.Provider, ID: o.id,
			Message: fmt.Sprintf("the value has more than %d bytes, which is the limit", limit)}
	}
	switch {
	case o.generate > 0:
		return generate(o.generate, alphabetOf(o.alphabet)), nil
	case o.file != "" && o.file != "-":
		value, err := within(ctx, func() ([]byte, error) { return readFile(o.file, limit) })
		return value, tooLarge(err)
	case a.stdinIsTerminal:
		value, err := a.askTwice(ctx, "Value of "+string(o.id)+" (hidden, one line): ")
		switch {
		case errors.Is(err, config.ErrNoTerminal):
			return nil, usage("there is no terminal to ask for the value at", valueHint)
		case errors.Is(err, errLongLine):
			return nil, usage(errLongLine.Error(), "pipe the value, or name a file: nebula put "+string(o.id)+" --file FILE")
		}
		return value, err
	}
	// The program before the pipe may ask a person, or be slow.
	defer a.pause()()
	value, err := within(ctx, func() ([]byte, error) { return readLimited(a.stdin, limit) })
	return value, tooLarge(err)
}

func readFile(path string, limit int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadableFile(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = errors.New("is a directory")
	}
	if err != nil {
		return nil, unreadableFile(path, err)
	}
	return readLimited(f, limit)
}

func unreadableFile(path string, err error) error {
	kind := config.FileKind(err)
	if kind == nebula.ErrInvalidConfig {
		kind = nebula.ErrUsage
	}
	return &nebula.Error{Kind: kind, Op: "put", Message: "--file " + path + ": " + atomicfile.Reason(err), Err: err}
}

var errTooMuch = errors.New("more than can be stored")

// within returns the result of read, or the error of the context if that ends
// first: reading a pipe, and opening one, may wait for ever.
func within(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	type result struct {
		value []byte
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := read()
		done <- result{value, err}
	}()
	select {
	case got := <-done:
		return got.value, got.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// readLimited reads until the end or the limit. It leaves no copies of the data
// behind.
func readLimited(r io.Reader, limit int) ([]byte, error) {
	value := make([]byte, 0, 4096)
	for {
		if len(value) == cap(value) {
			larger := make([]byte, len(value), 2*cap(value))
			copy(larger, value)
			clear(value)
			value = larger
		}
		n, err := r.Read(value[len(value):cap(value)])
		value = value[:len(value)+n]
		switch {
		case len(value) > limit:
			clear(value)
			return nil, errTooMuch
		case err == io.EOF:
			return value, nil
		case err != nil:
			clear(value)
			return nil, &nebula.Error{Kind: nebula.ErrUsage, Op: "put", Message: "the value cannot be read: " + atomicfile.Reason(err), Err: err}
		}
	}
}
