package transit

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/vaultapi"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/unlock/internal/slots"
)

// engine makes the calls of one login. It sends no associated data and no
// context: a secret opens only the slot with which it was made.
type engine struct {
	client *vaultapi.Client
	mount  string
}

// keyState is what Vault says about a key.
type keyState struct {
	Type                 string `json:"type"`
	Derived              bool   `json:"derived"`
	Encrypts             bool   `json:"supports_encryption"`
	Decrypts             bool   `json:"supports_decryption"`
	DeletionAllowed      bool   `json:"deletion_allowed"`
	LatestVersion        int    `json:"latest_version"`
	MinDecryptionVersion int    `json:"min_decryption_version"`
}

func (e *engine) open(ctx context.Context) error {
	return e.repeat(ctx, "", e.client.Open)
}

// usable reads a key, and fails if it cannot be used for slots.
func (e *engine) usable(ctx context.Context, name string) (keyState, error) {
	state, err := call[keyState](ctx, e, name, vaultapi.Request{Method: http.MethodGet, Path: e.path("keys", name)})
	if err != nil {
		return state, err
	}
	reason := ""
	switch {
	case !state.Encrypts || !state.Decrypts:
		reason = "is of type " + fmt.Sprintf("%.40q", state.Type) + ", which does not encrypt and decrypt"
	case state.Derived:
		reason = "is derived: it needs a context for each call, of which a slot has none"
	default:
		return state, nil
	}
	return state, &nebula.Error{Kind: nebula.ErrNotSupported, Message: "the key " + reason + " (" + e.describe(name) + ")",
		Hint: "make one for this: vault write -f " + e.path("keys", "NAME")}
}

func (e *engine) encrypt(ctx context.Context, name string, secret []byte) (ciphertext string, err error) {
	answer, err := call[struct {
		Ciphertext string `json:"ciphertext"`
	}](ctx, e, name, vaultapi.Request{Method: http.MethodPost, Path: e.path("encrypt", name),
		Body: map[string][]byte{"plaintext": secret}})
	return answer.Ciphertext, err
}

func (e *engine) decrypt(ctx context.Context, name, ciphertext string) ([]byte, error) {
	answer, err := call[struct {
		Plaintext []byte `json:"plaintext"`
	}](ctx, e, name, vaultapi.Request{Method: http.MethodPost, Path: e.path("decrypt", name),
		Body: map[string]string{"ciphertext": ciphertext}})
	switch {
	case errors.Is(err, errTooOld):
		return nil, e.tooOld(name, ciphertext, err)
	case err != nil:
		return nil, err
	case len(answer.Plaintext) != slots.SecretSize:
		clear(answer.Plaintext)
		return nil, &nebula.Error{Kind: nebula.ErrCorrupted,
			Message: fmt.Sprintf("it is decrypted to %d bytes, and a secret has %d (%s)", len(answer.Plaintext), slots.SecretSize, e.describe(name))}
	}
	return answer.Plaintext, nil
}

// call makes a call about a key and reads its data.
func call[T any](ctx context.Context, e *engine, name string, r vaultapi.Request) (data T, err error) {
	err = e.repeat(ctx, name, func(ctx context.Context) error {
		a, err := e.client.Call(ctx, r)
		if err != nil {
			return err
		}
		defer clear(a.Body) // it may hold a secret
		data, err = vaultapi.Decode[T](e.client, a)
		return err
	})
	return data, err
}

// repeat repeats a call while its failures may pass, and explains the last
// failure.
func (e *engine) repeat(ctx context.Context, name string, call func(context.Context) error) error {
	return provider.Repeat(ctx, provider.DefaultRetryPolicy(), provider.SystemClock{}, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		if err := call(ctx); err != nil {
			return e.explain(name, err)
		}
		return nil
	})
}

func (e *engine) path(what, name string) string { return e.mount + "/" + what + "/" + name }

// describe names a key in a message, or the engine.
func (e *engine) describe(name string) string {
	if name == "" {
		return "transit engine at " + e.client.Host()
	}
	return "transit key " + e.mount + "/" + name + " at " + e.client.Host()
}
