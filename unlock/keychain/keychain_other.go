//go:build !linux

package keychain

import (
	"context"
	"errors"
	"runtime"

	"github.com/zalando/go-keyring"

	"github.com/nebula-credential/nebula"
)

func systemStore() store { return system{} }

// system is the login keychain of macOS or the Credential Manager of Windows.
type system struct{}

func (system) get(ctx context.Context, account string) (text string, err error) {
	err = within(ctx, func() (err error) {
		text, err = keyring.Get(service, account)
		return err
	})
	return text, err
}

func (s system) set(ctx context.Context, account, secret string) error {
	// The library would replace an item and not say so.
	_, err := s.get(ctx, account)
	if err == nil {
		return &nebula.Error{Kind: nebula.ErrAlreadyExists, Message: "the keychain has an item for the slot " + account}
	}
	if !errors.Is(err, errAbsent) {
		return err
	}
	return within(ctx, func() error { return keyring.Set(service, account, secret) })
}

func (system) remove(ctx context.Context, account string) error {
	return within(ctx, func() error { return keyring.Delete(service, account) })
}

// within waits for a call, at most until the context ends. The keychain may ask
// the user.
func within(ctx context.Context, call func() error) error {
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err := <-done:
		return explain(err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, keyring.ErrNotFound):
		return errAbsent
	case errors.Is(err, keyring.ErrUnsupportedPlatform):
		return &nebula.Error{Kind: nebula.ErrNotSupported, Message: "no keychain is supported on " + runtime.GOOS, Err: err}
	}
	return unavailable("it refuses, or is locked", err)
}
