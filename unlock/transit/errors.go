package transit

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/vaultapi"
)

// Among the causes of errors.
var (
	errNoKey  = errors.New("there is no such key")
	errTooOld = errors.New("the version may no longer be used")
)

// explain explains the failure of a call about a key.
func (e *engine) explain(name string, err error) *nebula.Error {
	explained := *e.client.Explain(err, func(r *vaultapi.ResponseError) *nebula.Error { return e.explainAnswer(name, r) })
	explained.Message += " (" + e.describe(name) + ")"
	return &explained
}

// explainAnswer explains Vault's answers about keys and ciphertexts. Most of them
// have the same status.
func (e *engine) explainAnswer(name string, r *vaultapi.ResponseError) *nebula.Error {
	says := func(texts ...string) bool {
		for _, text := range texts {
			if r.Says(text) {
				return true
			}
		}
		return false
	}
	switch {
	case r.NoMount(), r.Status == http.StatusMethodNotAllowed:
		return &nebula.Error{Kind: nebula.ErrInvalidConfig, Err: errNoKey,
			Message: "there is no secrets engine of type transit at " + strconv.Quote(e.mount),
			Hint:    "look at " + section + "mount_path, or enable one: vault secrets enable -path=" + e.mount + " transit"}
	case r.Status == http.StatusNotFound, says("encryption key not found"):
		return &nebula.Error{Kind: nebula.ErrInvalidConfig, Err: errNoKey, Message: "there is no such key",
			Hint: "look at the name, or make one: vault write -f " + e.path("keys", name)}
	case says("disallowed by policy (too old)"):
		return &nebula.Error{Kind: nebula.ErrPermissionDenied, Err: errTooOld}
	case says("message authentication failed", "invalid ciphertext", "failed to RSA decrypt"):
		return &nebula.Error{Kind: nebula.ErrCorrupted, Message: "the key did not encrypt this, unless the key was deleted and made anew"}
	}
	return nil
}

// tooOld says which setting of the key prevents a slot from being opened.
func (e *engine) tooOld(name, ciphertext string, cause error) *nebula.Error {
	version, _, _ := strings.Cut(strings.TrimPrefix(ciphertext, "vault:v"), ":")
	return &nebula.Error{Kind: nebula.ErrPermissionDenied, Err: cause,
		Message: fmt.Sprintf("version %s, which the slot needs, is below min_decryption_version (%s)", version, e.describe(name)),
		Hint: fmt.Sprintf("vault write %s/config min_decryption_version=%s, then give the slot the newest version with nebula key rotate; or open the store with another key",
			e.path("keys", name), version)}
}

// lost returns the error for a slot whose key is gone. It has a kind after
// which other keys are tried. A new key of that name would not help.
func lost(err error) error {
	var e *nebula.Error
	if !errors.Is(err, errNoKey) || !errors.As(err, &e) {
		return err
	}
	changed := *e
	changed.Kind = nebula.ErrPermissionDenied
	changed.Hint = "look at " + section + "mount_path and address; if the key was deleted, restore it from a backup, or open the store with another key and remove the slot: nebula key remove SLOT"
	return &changed
}
