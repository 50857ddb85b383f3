// Package azurekey opens stores with keys of Azure Key Vault. A slot holds its
// secret, wrapped by the key. Key Vault unwraps it for anyone whom it allows.
// Anyone who may do that can see the secret.
package azurekey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/unlock/internal/slots"
)

// New returns the key, or the error of [Config.Validate]. It asks Key Vault when
// that is first needed, and once for each slot. The key also implements
// [nebula.Checker]: it examines the configured keys, with two calls each, and
// changes nothing.
func New(c Config) (nebula.Renewer, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &key{config: c, client: newClient(c)}, nil
}

type key struct {
	config  Config
	client  *client
	secrets slots.Secrets

	mu sync.Mutex // held while a slot is opened, so that it is asked for once
}

var (
	_ nebula.Renewer = (*key)(nil)
	_ nebula.Checker = (*key)(nil)
)

// String names the keys in messages.
func (k *key) String() string {
	noun := "the Azure key "
	if len(k.config.Also) > 0 {
		noun = "the Azure keys "
	}
	return noun + strings.Join(k.config.urls(), ", ")
}

// Opens reports true for SlotAzureKey.
func (k *key) Opens(kind string) bool { return kind == nebula.SlotAzureKey }

// Secret has Key Vault unwrap the slot's secret, with the version of the key that
// wrapped it, if the slot is for a key that is configured. Errors: ErrWrongKey if
// it is for another one; ErrUnauthenticated if there is no login;
// ErrPermissionDenied if Key Vault refuses, or the key is disabled or deleted;
// ErrUnavailable, ErrTimeout; ErrCorrupted if the slot is damaged.
func (k *key) Secret(ctx context.Context, slot nebula.Slot) ([]byte, error) {
	data, err := slotdata.ParseAzureKey(slot.Data)
	if err != nil {
		return nil, damaged(slot.ID, err)
	}
	named, ok := k.config.named(data.URL)
	if !ok {
		return nil, &nebula.Error{Kind: nebula.ErrWrongKey, Message: "the slot " + slot.ID + " is for the Azure key " + data.URL.String() + ", which is not configured here"}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if secret := k.secrets.Get(slot); secret != nil {
		return secret, nil
	}
	secret, err := k.client.unwrap(ctx, named, slot.ID, data)
	if err == nil && len(secret) != slots.SecretSize {
		clear(secret)
		err = damaged(slot.ID, fmt.Errorf("the secret that Key Vault unwraps does not have %d bytes", slots.SecretSize))
	}
	if err != nil {
		return nil, err
	}
	k.secrets.Keep(slot, secret)
	return secret, nil
}

// NewSlot returns a slot for the configured key, under its current version. It
// asks Key Vault twice: Key Vault wraps the secret, and unwraps it, if that is
// allowed.
func (k *key) NewSlot(ctx context.Context, id string, salt [16]byte) (nebula.Slot, []byte, error) {
	named, err := parseURL(k.config.URL)
	if err != nil {
		return nebula.Slot{}, nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "no Azure key is configured"}
	}
	return k.newSlot(ctx, named, id, salt)
}

// Renew returns the slot with another secret, under the current version of the
// slot's key. Errors: ErrNotSupported if that key is not configured.
func (k *key) Renew(ctx context.Context, slot nebula.Slot, salt [16]byte) (nebula.Slot, []byte, error) {
	data, err := slotdata.ParseAzureKey(slot.Data)
	if err != nil {
		return nebula.Slot{}, nil, damaged(slot.ID, err)
	}
	named, ok := k.config.named(data.URL)
	if !ok {
		return nebula.Slot{}, nil, &nebula.Error{Kind: nebula.ErrNotSupported, Message: "the Azure key " + data.URL.String() + " is not configured here"}
	}
	return k.newSlot(ctx, named, slot.ID, salt)
}

func (k *key) newSlot(ctx context.Context, named vaultKey, id string, salt [16]byte) (nebula.Slot, []byte, error) {
	secret := slots.NewSecret()
	data, err := k.client.wrap(ctx, named, secret)
	if err == nil {
		err = k.verify(ctx, named, id, data, secret)
	}
	if err != nil {
		return nebula.Slot{}, nil, err
	}
	slot := nebula.Slot{ID: id, Kind: nebula.SlotAzureKey, Salt: salt, Data: data.Bytes()}
	k.secrets.Keep(slot, secret)
	return slot, secret, nil
}

// verify fails if the wrapped secret cannot be kept, or does not unwrap to the
// secret. If this identity may not unwrap, others may.
func (k *key) verify(ctx context.Context, named vaultKey, id string, data slotdata.AzureKey, secret []byte) error {
	if err := slotdata.Check(nebula.SlotAzureKey, id, data.Bytes()); err != nil {
		return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "Key Vault gave an answer that no slot can hold: " + err.Error(), Err: err}
	}
	back, err := k.client.unwrap(ctx, named, id, data)
	defer clear(back)
	switch {
	case errors.Is(err, errDenied):
		k.tell(err)
		return nil
	case nebula.KindOf(err) == nebula.ErrCorrupted, err == nil && !bytes.Equal(back, secret):
		return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "Key Vault did not unwrap what it wrapped a moment ago"}
	}
	return err
}

// tell says that a new slot was not tried.
func (k *key) tell(why error) {
	var e *nebula.Error
	if k.config.Tell != nil && errors.As(why, &e) {
		k.config.Tell("the new slot was not tried: " + e.Message)
	}
}

func damaged(slotID string, cause error) error {
	return slots.Damaged(slotID, "--azure-key URL", cause)
}
