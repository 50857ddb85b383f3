// Package awskms opens stores with keys of AWS KMS. A slot holds its secret,
// encrypted by KMS. KMS decrypts it for anyone whom its policy allows. Anyone who
// runs KMS can see the secret.
package awskms

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

// New returns the key, or the error of [Config.Validate]. It asks KMS when that
// is first needed, and once for each slot. The key also implements
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

	mu     sync.Mutex // held while a slot is opened
	misses int        // slots in a row that were not for an alias
}

var (
	_ nebula.Renewer = (*key)(nil)
	_ nebula.Checker = (*key)(nil)
)

// String names the keys in messages.
func (k *key) String() string {
	noun := "the KMS key "
	if len(k.config.Also) > 0 {
		noun = "the KMS keys "
	}
	return noun + strings.Join(k.config.keys(), ", ")
}

// Opens reports true for SlotAWSKMS.
func (k *key) Opens(kind string) bool { return kind == nebula.SlotAWSKMS }

// Secret has KMS decrypt the slot's secret with the configured key, if the slot
// is for that key. Errors: ErrUnauthenticated without credentials; ErrWrongKey if
// the slot is for another key; ErrPermissionDenied if KMS refuses, or the key is
// disabled or to be deleted; ErrUnavailable, ErrTimeout; ErrCorrupted if the slot
// is damaged.
func (k *key) Secret(ctx context.Context, slot nebula.Slot) ([]byte, error) {
	data, err := slotdata.ParseAWSKMS(slot.Data)
	if err != nil {
		return nil, damaged(slot.ID, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if secret := k.secrets.Get(slot); secret != nil {
		return secret, nil
	}
	err = &nebula.Error{Kind: nebula.ErrWrongKey, Message: "the slot " + slot.ID + " is for the KMS key " + data.ARN + ", which is not configured here"}
	for _, key := range k.config.candidates(data.ARN) {
		var secret []byte
		if secret, err = k.decrypt(ctx, key, slot.ID, data); err == nil {
			k.secrets.Keep(slot, secret)
			return secret, nil
		}
		if nebula.KindOf(err) != nebula.ErrWrongKey {
			return nil, err
		}
	}
	return nil, err
}

// maxMisses limits for how many slots in a row KMS is asked about an alias. Only
// the answer shows which slot is for its key.
const maxMisses = 2

// decrypt opens a slot with one of the configured keys.
func (k *key) decrypt(ctx context.Context, key named, slotID string, data slotdata.AWSKMS) ([]byte, error) {
	about := request{key: key, slotID: slotID, arn: data.ARN}
	if key.isAlias && k.misses == maxMisses {
		return nil, about.wrongKey(fmt.Sprintf("%d other slots were tried, and neither is for its key", maxMisses))
	}
	out, err := k.client.decrypt(ctx, key, slotID, data.ARN, data.Blob)
	if err == nil && !sameKey(out.KeyID, data.ARN) {
		err = about.wrongKey("KMS decrypted it under " + shown(out.KeyID))
	}
	switch {
	case nebula.KindOf(err) == nebula.ErrWrongKey && key.isAlias:
		k.misses++
	case err == nil:
		k.misses = 0
	}
	if err == nil && len(out.Plaintext) != slots.SecretSize {
		err = damaged(slotID, fmt.Errorf("the secret that KMS decrypts does not have %d bytes", slots.SecretSize))
	}
	return out.Plaintext, err
}

// NewSlot returns a slot for the configured key. It asks KMS twice: KMS encrypts
// the secret, and decrypts it, if that is allowed.
func (k *key) NewSlot(ctx context.Context, id string, salt [16]byte) (nebula.Slot, []byte, error) {
	return k.newSlot(ctx, parseNamed(k.config.Key), id, salt, "")
}

// Renew returns the slot with another secret, encrypted by the slot's key. Errors:
// ErrNotSupported if that key is not configured.
func (k *key) Renew(ctx context.Context, slot nebula.Slot, salt [16]byte) (nebula.Slot, []byte, error) {
	data, err := slotdata.ParseAWSKMS(slot.Data)
	if err != nil {
		return nebula.Slot{}, nil, damaged(slot.ID, err)
	}
	err = &nebula.Error{Kind: nebula.ErrNotSupported, Message: "the KMS key " + data.ARN + " is not configured here"}
	for _, key := range k.config.candidates(data.ARN) {
		var anew nebula.Slot
		var secret []byte
		anew, secret, err = k.newSlot(ctx, key, slot.ID, salt, data.ARN)
		if err == nil || nebula.KindOf(err) != nebula.ErrNotSupported {
			return anew, secret, err
		}
	}
	return nebula.Slot{}, nil, err
}

// newSlot makes a slot, for the key of an ARN if that is not "".
func (k *key) newSlot(ctx context.Context, key named, id string, salt [16]byte, arn string) (nebula.Slot, []byte, error) {
	secret := slots.NewSecret()
	out, err := k.client.encrypt(ctx, key, id, secret)
	if err != nil {
		return nebula.Slot{}, nil, err
	}
	if used, err := slotdata.ParseKeyARN(out.KeyID); err != nil || !key.mayBe(used) {
		return nebula.Slot{}, nil, &nebula.Error{Kind: nebula.ErrUnavailable, Message: "KMS was told to encrypt with " + key.text + ", and says that it used " + shown(out.KeyID)}
	}
	if arn == "" {
		arn = out.KeyID
	}
	if !sameKey(out.KeyID, arn) {
		return nebula.Slot{}, nil, &nebula.Error{Kind: nebula.ErrNotSupported, Message: "the KMS key " + key.text + " is " + out.KeyID + ", and the slot is for " + arn}
	}
	data := slotdata.AWSKMS{ARN: arn, Blob: out.Blob}
	if err := k.verify(ctx, key, id, data, secret); err != nil {
		return nebula.Slot{}, nil, err
	}
	slot := nebula.Slot{ID: id, Kind: nebula.SlotAWSKMS, Salt: salt, Data: data.Bytes()}
	k.secrets.Keep(slot, secret)
	return slot, secret, nil
}

// verify fails if the ciphertext of KMS cannot be kept, or does not decrypt to the
// secret. If these credentials may not decrypt, others may.
func (k *key) verify(ctx context.Context, key named, id string, data slotdata.AWSKMS, secret []byte) error {
	if err := slotdata.Check(nebula.SlotAWSKMS, id, data.Bytes()); err != nil {
		return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "KMS gave an answer that no slot can hold: " + err.Error(), Err: err}
	}
	out, err := k.client.decrypt(ctx, key, id, data.ARN, data.Blob)
	switch {
	case nebula.KindOf(err) == nebula.ErrPermissionDenied:
		k.tell(err)
		return nil
	case err != nil:
		return err
	case !sameKey(out.KeyID, data.ARN) || !bytes.Equal(out.Plaintext, secret):
		return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "KMS did not decrypt what it encrypted a moment ago"}
	}
	return nil
}

// tell says that a new slot was not tried.
func (k *key) tell(why error) {
	var e *nebula.Error
	if k.config.Tell != nil && errors.As(why, &e) {
		k.config.Tell("the new slot was not tried: " + e.Message)
	}
}

// shown returns the key that KMS says it used, for a message.
func shown(arn string) string {
	if _, err := slotdata.ParseKeyARN(arn); err != nil {
		return "what is no key"
	}
	return arn
}

func damaged(slotID string, cause error) error { return slots.Damaged(slotID, "--aws-kms KEY", cause) }
