package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// The variables that hold or name the default store's passphrase.
const (
	envPassphraseFile    = "NEBULA_PASSPHRASE_FILE"
	envPassphraseCommand = "NEBULA_PASSPHRASE_COMMAND"
	envPassphrase        = "NEBULA_PASSPHRASE"

	envNewPassphraseFile = "NEBULA_NEW_PASSPHRASE_FILE"
	envNewPassphrase     = "NEBULA_NEW_PASSPHRASE"
)

const (
	maxPassphraseSize = 64 << 10

	commandTimeout = 30 * time.Second
)

// ErrNoTerminal says that there is no terminal at which to ask a person.
var ErrNoTerminal = errors.New("no terminal to ask at")

// source is where a passphrase comes from. If one is set, no other is tried: it
// is an error if it fails or gives nothing.
type source struct {
	name string // for messages
	read func(context.Context) ([]byte, error)
}

// PassphraseSource names the source that is set, or returns "" if a person would
// have to be asked.
func (k *Keys) PassphraseSource() string {
	if s := k.source(); s != nil {
		return s.name
	}
	return ""
}

// Passphrase returns the passphrase that opens the store, from its source or
// from a person.
func (k *Keys) Passphrase(ctx context.Context) ([]byte, error) {
	if s := k.source(); s != nil {
		return s.passphrase(ctx)
	}
	question := "Passphrase for " + k.Place() + ": "
	if k.asked++; k.asked > 1 {
		question = fmt.Sprintf("That passphrase does not open it; try %d of %d\n", k.asked, maxTries) + question
	}
	text, err := k.options.Ask(ctx, question)
	if errors.Is(err, ErrNoTerminal) {
		return nil, &nebula.Error{Kind: nebula.ErrUnauthenticated, Err: err,
			Message: "no key is at hand, and there is no terminal to ask for a passphrase at", Hint: k.Where()}
	}
	if err == nil && len(text) == 0 {
		err = &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "no passphrase was given", Hint: k.Where()}
	}
	return text, err
}

func (k *Keys) source() *source {
	if k.store.name != DefaultStore {
		section := "stores." + k.store.name + ".key."
		switch named := k.store.source; {
		case named.File != "":
			return k.fileSource(section+"passphrase_file", named.File)
		case named.Command != "":
			return k.commandSource(section+"passphrase_command", named.Command)
		}
		return nil
	}
	if path, ok := k.env.lookup(envPassphraseFile); ok {
		return k.fileSource(envPassphraseFile, path)
	}
	if command, ok := k.env.lookup(envPassphraseCommand); ok {
		return k.commandSource(envPassphraseCommand, command)
	}
	return k.textSource(envPassphrase)
}

// NewPassphraseSource returns a function that reads the passphrase for a new
// slot, or nil if a person has to be asked.
func (k *Keys) NewPassphraseSource() func(context.Context) ([]byte, error) {
	s := k.textSource(envNewPassphrase)
	if path, ok := k.env.lookup(envNewPassphraseFile); ok {
		s = k.fileSource(envNewPassphraseFile, path)
	}
	if s == nil {
		return nil
	}
	return s.passphrase
}

func (k *Keys) textSource(name string) *source {
	text, ok := k.env.lookup(name)
	if !ok {
		return nil
	}
	return &source{name, func(context.Context) ([]byte, error) { return trimLine([]byte(text)), nil }}
}

func (k *Keys) fileSource(name, path string) *source {
	return &source{name, func(ctx context.Context) ([]byte, error) {
		text, err := k.readPassphraseFile(ctx, path)
		return trimLine(text), err
	}}
}

// readPassphraseFile reads a file or a pipe. The writer of a pipe has as long as
// a passphrase command.
func (k *Keys) readPassphraseFile(ctx context.Context, path string) ([]byte, error) {
	limited, limit, end := k.options.wait(ctx)
	defer end()
	text, err := readPassphrase(limited, k.env.expand(path), k.openSecret)
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(limited), context.DeadlineExceeded) {
		err = &slowError{what: "nothing came for longer", limit: limit}
	}
	return text, err
}

func (k *Keys) openSecret(path string) (*os.File, error) {
	return openSecret(path, k.store.key.AllowGroupRead)
}

func (k *Keys) commandSource(name, command string) *source {
	return &source{name, func(ctx context.Context) ([]byte, error) {
		text, err := runPassphrase(ctx, command, k.options)
		return trimLine(text), err
	}}
}

// passphrase reads the source. It returns the error of an ended context as it
// is.
func (s *source) passphrase(ctx context.Context) ([]byte, error) {
	text, err := s.read(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, s.failed(err)
	case len(text) == 0:
		return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: s.name + " is set and gives an empty passphrase",
			Hint: "unset it, or have it give the passphrase"}
	}
	return text, nil
}

// failed returns the error of a source that gives nothing.
func (s *source) failed(err error) error {
	e := &nebula.Error{Kind: FileKind(err), Message: s.name + " gives no passphrase: " + err.Error(), Err: err}
	var wide *atomicfile.WideError
	if errors.As(err, &wide) {
		e.Hint = wide.Fix
	}
	var onPath *pathError
	if errors.As(err, &onPath) && e.Hint == "" {
		_, e.Hint = atomicfile.Denial(onPath.path, onPath.err)
	}
	var slow *slowError
	if errors.As(err, &slow) {
		e.Kind, e.Hint = nebula.ErrTimeout, "give it longer with --timeout"
	}
	return e
}

// trimLine strips one final LF or CRLF.
func trimLine(text []byte) []byte {
	if line, ok := bytes.CutSuffix(text, []byte("\n")); ok {
		return bytes.TrimSuffix(line, []byte("\r"))
	}
	return text
}

// readPassphrase reads a file, or what another process writes into a pipe, until
// the context ends.
func readPassphrase(ctx context.Context, path string, open func(string) (*os.File, error)) ([]byte, error) {
	if path == "" {
		return nil, errors.New("it is set and empty")
	}
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		f, err := open(path)
		if err != nil {
			done <- result{err: err}
			return
		}
		defer f.Close()
		text, err := readLimited(f)
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, &pathError{path, r.err}
		}
		return r.text, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pathError says what is wrong with a file. If it does not exist, the text may
// be the secret itself instead of a path.
type pathError struct {
	path string
	err  error
}

func (e *pathError) Error() string {
	if shownPath(e.path) == hidden && !Exists(e.path) {
		return "there is no such file, and the name is not shown, since it may be the secret itself"
	}
	reason := e.path + ": " + atomicfile.Reason(e.err)
	if fact, _ := atomicfile.Denial(e.path, e.err); fact != "" && !LooksLikeKey(e.path) {
		reason += "; " + fact
	}
	return reason
}

func (e *pathError) Unwrap() error { return e.err }

// ReadSecretFile reads a short file that holds a secret (a passphrase or a key)
// and returns its bytes unchanged.
func ReadSecretFile(ctx context.Context, path string) ([]byte, error) {
	text, err := readPassphrase(ctx, path, os.Open)
	if err != nil && ctx.Err() == nil {
		err = &nebula.Error{Kind: FileKind(err), Message: err.Error(), Err: err}
	}
	return text, err
}

// TrimLine strips one final LF or CRLF from the text of a passphrase.
func TrimLine(text []byte) []byte { return trimLine(text) }

func readLimited(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxPassphraseSize+1))
	if err == nil && len(text) > maxPassphraseSize {
		clear(text)
		return nil, fmt.Errorf("more than %d bytes", maxPassphraseSize)
	}
	return text, err
}
