package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

// newPassphrase returns a function that gets a passphrase for a new slot: from
// its variables, or from a person, who types it twice.
func (a *app) newPassphrase(s *config.Opened) func(context.Context) ([]byte, error) {
	if source := s.Keys.NewPassphraseSource(); source != nil {
		return source
	}
	return func(ctx context.Context) ([]byte, error) {
		first, err := a.askHidden(ctx, "New passphrase for "+s.Keys.Place()+" (nothing: one is made for you): ")
		switch {
		case errors.Is(err, config.ErrNoTerminal):
			return nil, &nebula.Error{Kind: nebula.ErrUnauthenticated, Err: err,
				Message: "there is no new passphrase, and no terminal to ask for one at",
				Hint:    "set NEBULA_NEW_PASSPHRASE_FILE or NEBULA_NEW_PASSPHRASE"}
		case err != nil:
			return nil, err
		case len(first) == 0:
			return a.generated(ctx)
		}
		second, err := a.askHidden(ctx, "The same again: ")
		defer clear(second)
		if err == nil && !bytes.Equal(first, second) {
			err = usage("the two passphrases differ", "")
		}
		if err != nil {
			clear(first)
			return nil, err
		}
		return first, nil
	}
}

// generated makes a passphrase of 125 random bits and shows it, once, on the
// terminal and nowhere else.
func (a *app) generated(ctx context.Context) ([]byte, error) {
	text := []byte(strings.ToLower(rand.Text()[:25]))
	defer clear(text)
	var made []byte
	for i := 0; i < len(text); i += 5 {
		if i > 0 {
			made = append(made, '-')
		}
		made = append(made, text[i:i+5]...)
	}
	line, err := a.askLine(ctx, "Yours is: "+string(made)+"\nKeep it where you will find it; it is not shown again. Use it? [Y/n] ")
	if err != nil {
		return nil, err
	}
	switch strings.ToLower(line) {
	case "", "y", "yes":
		return made, nil
	}
	clear(made)
	return nil, &nebula.Error{Kind: nebula.ErrInterrupted, Message: "nothing was changed"}
}

// absolute makes a path independent of the current directory.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
