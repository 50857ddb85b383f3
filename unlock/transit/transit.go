// Package transit opens stores with keys of HashiCorp Vault's transit engine,
// which never leave Vault: it encrypts and decrypts the secret of a slot.
package transit

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/internal/vaultapi"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/unlock/internal/slots"
)

// timeout of one attempt at a call. If the failure of an attempt may pass, it
// is repeated, like a provider's.
const timeout = 5 * time.Second

// New returns the key, or the error of [Config.Validate]. It asks Vault when
// that is first needed, and once for each slot. The key also implements
// [nebula.Checker]: it examines the server and the configured keys.
func New(c Config) (nebula.Renewer, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	client, err := vaultapi.New(c.api(), provider.SystemClock{})
	return &key{config: c, client: client}, err
}

type key struct {
	config  Config
	client  *vaultapi.Client
	secrets slots.Secrets

	mu sync.Mutex // held while Vault is asked: of many that need a secret, one asks
}

var (
	_ nebula.Renewer = (*key)(nil)
	_ nebula.Checker = (*key)(nil)
)

// String names the keys in messages.
func (k *key) String() string {
	noun := "the transit key "
	if len(k.config.Also) > 0 {
		noun = "the transit keys "
	}
	return noun + strings.Join(k.config.keys(), ", ")
}

// Opens reports true for SlotVaultTransit.
func (k *key) Opens(kind string) bool { return kind == nebula.SlotVaultTransit }

// Secret has Vault decrypt the slot's secret, if the slot is for one of the
// configured keys. Errors: ErrUnauthenticated if it is not, or Vault knows no
// token of ours; ErrPermissionDenied if the token may not decrypt, or the key or
// its version may no longer be used; ErrCorrupted if the slot is damaged;
// ErrUnavailable and ErrTimeout if Vault does not answer, is sealed, or refuses
// calls for now; ErrInvalidConfig.
func (k *key) Secret(ctx context.Context, slot nebula.Slot) ([]byte, error) {
	data, err := k.own(slot, nebula.ErrUnauthenticated)
	if err != nil {
		return nil, err
	}
	secret := k.secrets.Get(slot)
	if secret != nil {
		return secret, nil
	}
	err = k.use(ctx, func(e *engine) error {
		if secret = k.secrets.Get(slot); secret != nil { // another call was faster
			return nil
		}
		if secret, err = e.decrypt(ctx, data.Name, data.Ciphertext); err != nil {
			return err
		}
		k.secrets.Keep(slot, secret)
		return nil
	})
	if nebula.KindOf(err) == nebula.ErrCorrupted {
		return nil, damaged(slot.ID, data.Name, err)
	}
	return secret, lost(err)
}

// NewSlot returns a slot for the configured key. It reads the key first, because
// Vault makes a key for a mistyped name if the token may create one. If the
// token may decrypt, it decrypts the ciphertext to try it.
func (k *key) NewSlot(ctx context.Context, id string, salt [16]byte) (nebula.Slot, []byte, error) {
	slot, secret, err := k.newSlot(ctx, k.config.Key, id, salt)
	if err == nil {
		k.warn(ctx)
	}
	return slot, secret, err
}

// Renew returns the slot with another secret, encrypted by the slot's key. Errors:
// ErrNotSupported if that key is not configured, or not fit for slots.
func (k *key) Renew(ctx context.Context, slot nebula.Slot, salt [16]byte) (nebula.Slot, []byte, error) {
	data, err := k.own(slot, nebula.ErrNotSupported)
	if err != nil {
		return nebula.Slot{}, nil, err
	}
	renewed, secret, err := k.newSlot(ctx, data.Name, slot.ID, salt)
	return renewed, secret, lost(err)
}

// own returns the content of a slot, if it is for one of the configured keys,
// else an error of that kind.
func (k *key) own(slot nebula.Slot, other nebula.Kind) (slotdata.VaultTransit, error) {
	data, err := slotdata.ParseVaultTransit(slot.Data)
	switch {
	case err != nil:
		return data, damaged(slot.ID, "KEY", err)
	case !k.config.has(data):
		return data, &nebula.Error{Kind: other,
			Message: "the slot " + slot.ID + " is for the transit key " + data.Mount + "/" + data.Name + ", which is not configured here"}
	}
	return data, nil
}

func (k *key) newSlot(ctx context.Context, name, id string, salt [16]byte) (nebula.Slot, []byte, error) {
	secret := slots.NewSecret()
	data := slotdata.VaultTransit{Mount: k.config.mount(), Name: name}
	err := k.use(ctx, func(e *engine) (err error) {
		if _, err = e.usable(ctx, name); err != nil {
			return err
		}
		if data.Ciphertext, err = e.encrypt(ctx, name, secret); err != nil {
			return err
		}
		return k.verify(ctx, e, data, secret)
	})
	if err != nil {
		return nebula.Slot{}, nil, err
	}
	slot := nebula.Slot{ID: id, Kind: nebula.SlotVaultTransit, Salt: salt, Data: data.Bytes()}
	k.secrets.Keep(slot, secret)
	return slot, secret, nil
}

// use makes several calls with one login.
func (k *key) use(ctx context.Context, calls func(*engine) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := &engine{client: k.client, mount: k.config.mount()}
	defer k.client.Close()
	if err := e.open(ctx); err != nil {
		return err
	}
	return calls(e)
}

// verify fails if the ciphertext of Vault cannot be kept, or does not decrypt to
// the secret. If this token may not decrypt, others may.
func (k *key) verify(ctx context.Context, e *engine, data slotdata.VaultTransit, secret []byte) error {
	if err := slotdata.Check(nebula.SlotVaultTransit, "", data.Bytes()); err != nil {
		return &nebula.Error{Kind: nebula.ErrUnavailable, Err: err,
			Message: "Vault gave an answer that no slot can hold: " + err.Error() + " (" + e.describe(data.Name) + ")"}
	}
	opened, err := e.decrypt(ctx, data.Name, data.Ciphertext)
	defer clear(opened)
	var denied *nebula.Error
	switch {
	case nebula.KindOf(err) == nebula.ErrPermissionDenied && errors.As(err, &denied):
		k.tell("the new slot was not tried: " + denied.Message)
		return nil
	case err != nil:
		return err
	case !bytes.Equal(opened, secret):
		return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "Vault did not decrypt what it encrypted a moment ago (" + e.describe(data.Name) + ")"}
	}
	return nil
}

func (k *key) tell(text string) {
	if k.config.Tell != nil {
		k.config.Tell(text)
	}
}

// warn tells the owner of a new slot what they should know.
func (k *key) warn(ctx context.Context) {
	if k.config.Namespace == "" {
		return
	}
	_ = k.use(ctx, func(e *engine) error {
		health, err := e.client.Health(ctx)
		if err == nil && !health.Enterprise {
			k.tell("warning: " + k.config.withoutNamespaces())
		}
		return err
	})
}

func (c Config) withoutNamespaces() string {
	return section + "namespace is " + c.Namespace + ", and the server is Vault's community edition, which has no namespaces: every one of them is the same key"
}

func damaged(slotID, name string, cause error) error {
	return slots.Damaged(slotID, "--vault-transit "+name, cause)
}
