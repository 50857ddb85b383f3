package recipient

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/unlock/internal/slots"
)

// opening is one try to open a slot.
type opening struct {
	ctx     context.Context
	options *Options
	slotID  string
	data    slotdata.Recipient
	failed  error // of the first identity that could not be used
}

// open tries one identity after the other. If age got all of them, it would
// stop at the first missing plugin.
func (o *opening) open(ids *identities) ([]byte, error) {
	if ids.none() {
		return nil, &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "no age identity is configured"}
	}
	for _, id := range append(ids.native[:len(ids.native):len(ids.native)], ids.ssh...) {
		if secret, err := o.try(id); secret != nil || err != nil {
			return secret, err
		}
	}
	for _, l := range ids.locked {
		if secret, err := o.tryLocked(l); secret != nil || err != nil {
			return secret, err
		}
	}
	for _, id := range ids.plugin {
		if secret, err := o.tryPlugin(id); secret != nil || err != nil {
			return secret, err
		}
	}
	if o.failed != nil {
		return nil, o.failed
	}
	return nil, &nebula.Error{Kind: nebula.ErrWrongKey, Message: "no age identity at hand is that of the recipient " + quote(o.data.Recipient)}
}

// note keeps the first reason why an identity could not be used.
func (o *opening) note(err error) {
	if o.failed == nil {
		o.failed = err
	}
}

// observed records the error of an identity. age does not tell it from errors
// of the file.
type observed struct {
	age.Identity
	err error
}

// Unwrap is that of the identity.
func (i *observed) Unwrap(stanzas []*age.Stanza) (fileKey []byte, err error) {
	fileKey, i.err = i.Identity.Unwrap(stanzas)
	return fileKey, i.err
}

// decrypt returns the slot's secret, or nothing if the slot is not for the
// identity. failure is the error of the identity, and err that of the slot.
func (o *opening) decrypt(id age.Identity) (secret []byte, failure, err error) {
	with := &observed{Identity: id}
	r, err := age.Decrypt(bytes.NewReader(o.data.File), with)
	switch {
	case errors.Is(with.err, age.ErrIncorrectIdentity):
		return nil, nil, nil
	case with.err != nil:
		return nil, with.err, nil
	case err != nil:
		return nil, nil, damaged(o.slotID, errors.New("its age file cannot be read"))
	}
	secret, err = io.ReadAll(io.LimitReader(r, slots.SecretSize+1))
	if err != nil || len(secret) != slots.SecretSize {
		clear(secret)
		return nil, nil, damaged(o.slotID, fmt.Errorf("its age file does not hold %d bytes", slots.SecretSize))
	}
	return secret, nil, nil
}

// try tries an identity of age or SSH. If it fails, the slot is damaged.
func (o *opening) try(id identity) ([]byte, error) {
	secret, failure, err := o.decrypt(id.Identity)
	if failure != nil {
		return nil, damaged(o.slotID, errors.New("its age file is not one for such a recipient"))
	}
	return secret, err
}

// tryLocked tries the identities of an encrypted file, which is opened once.
func (o *opening) tryLocked(l *locked) ([]byte, error) {
	if !l.mayFit(o.data.Recipient) {
		return nil, nil
	}
	if l.opened == nil {
		if err := o.unlock(l); err != nil {
			if o.ctx.Err() != nil {
				return nil, err
			}
			o.note(err)
			return nil, nil
		}
	}
	for _, id := range l.opened {
		if secret, err := o.try(id); secret != nil || err != nil {
			return secret, err
		}
	}
	return nil, nil
}

const maxTries = 3 // of a passphrase

// unlock asks for the passphrase of an encrypted file, until it fits.
func (o *opening) unlock(l *locked) error {
	if o.options.Passphrase == nil {
		return unopened(l, "and nobody can be asked for its passphrase")
	}
	for try := 1; try <= maxTries; try++ {
		passphrase, err := o.options.Passphrase(o.ctx, l.file, try)
		if err != nil {
			return err
		}
		l.opened, err = l.decrypt(passphrase)
		clear(passphrase)
		if err == nil || !errors.Is(err, errPassphrase) {
			return err
		}
	}
	return unopened(l, "and the passphrase does not open it")
}

func unopened(l *locked, why string) error {
	return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "identity file " + l.file + ": it is encrypted, " + why}
}

var errPassphrase = errors.New("the passphrase is wrong")

func (l *locked) decrypt(passphrase []byte) ([]identity, error) {
	if len(passphrase) == 0 {
		return nil, errPassphrase
	}
	if l.recipient == "" {
		return l.decryptAge(passphrase)
	}
	id, err := parseSSH(l.text, passphrase)
	switch {
	case errors.Is(err, x509.IncorrectPasswordError):
		return nil, errPassphrase
	case err != nil:
		return nil, badIdentity(l.file, "it cannot be decrypted")
	case id.recipient != l.recipient:
		return nil, badIdentity(l.file, "its private key is not that of its public key")
	}
	return []identity{id}, nil
}

// decryptAge opens an age file with identities in it.
func (l *locked) decryptAge(passphrase []byte) ([]identity, error) {
	scrypt, err := age.NewScryptIdentity(string(passphrase))
	if err != nil {
		return nil, errPassphrase
	}
	var in io.Reader = bytes.NewReader(l.text)
	if !bytes.HasPrefix(l.text, []byte("age-encryption.org/")) {
		in = armor.NewReader(in)
	}
	out, err := age.Decrypt(in, scrypt)
	noMatch := new(age.NoIdentityMatchError)
	switch {
	case errors.As(err, &noMatch) && slices.Equal(noMatch.StanzaTypes, []string{"scrypt"}):
		return nil, errPassphrase
	case err != nil:
		return nil, badIdentity(l.file, "it is not encrypted with a passphrase, or damaged")
	}
	text, err := io.ReadAll(io.LimitReader(out, maxIdentityFile))
	defer clear(text)
	if err != nil {
		return nil, badIdentity(l.file, "it is damaged")
	}
	inside := &identities{}
	if err := inside.read(l.file, text); err != nil {
		return nil, err
	}
	return append(inside.native, inside.ssh...), nil
}
