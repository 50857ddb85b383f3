package azure

import (
	"context"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/nebula-credential/nebula"
)

// Identity implements [nebula.Identifier]: the host and name of the keyring's
// address, as the vault says it, without the version. It makes one call.
func (d *driver) Identity(ctx context.Context) (string, error) {
	id := d.names.secret(nebula.KeyringName())
	r, err := read(ctx, d, func(ctx context.Context) (azsecrets.GetSecretResponse, error) {
		return d.client.GetSecret(ctx, id, "", nil)
	})
	switch {
	case isMissing(err):
		return "", nil
	case err != nil:
		return "", err
	case r.ID == nil:
		return "", d.vault.ForeignAnswer()
	}
	u, err := url.Parse(string(*r.ID))
	if err != nil || u.Host == "" {
		return "", d.vault.ForeignAnswer()
	}
	return strings.ToLower(u.Host + "/secrets/" + id), nil
}

// Fits implements [nebula.Fitter], by the limits of tags.
func (d *driver) Fits(name nebula.Name, envelope *nebula.Envelope) error {
	_, err := project(name, envelope, d.config.DefaultTags, d.clock.Now())
	return err
}
