package azure

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/nebula-credential/nebula/provider"
)

// ForeignNames implements [provider.ForeignReader]. It makes one call for each 25
// secrets of the whole vault. Key Vault does not tell upper from lower case.
func (d *driver) ForeignNames(ctx context.Context, prefix string) ([]string, error) {
	list := &pages{driver: d, more: true}
	var names []string
	for {
		err := list.turn(ctx)
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
		for _, item := range list.items {
			if item == nil || item.ID == nil {
				continue
			}
			name, _, ok := parseSecretID(string(*item.ID))
			if ok && len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
				names = append(names, name)
			}
		}
	}
}

// Foreign implements [provider.ForeignReader]. It makes one call.
func (d *driver) Foreign(ctx context.Context, name string) (provider.Foreign, error) {
	r, err := read(ctx, d, func(ctx context.Context) (azsecrets.GetSecretResponse, error) {
		return d.client.GetSecret(ctx, name, "", nil)
	})
	if err == nil && r.Value == nil {
		err = d.vault.ForeignAnswer()
	}
	if err != nil {
		return provider.Foreign{}, err
	}
	f := provider.Foreign{Value: []byte(*r.Value)}
	if r.Managed != nil && *r.Managed {
		f.Note = "Key Vault keeps it for a certificate, and replaces it with that; the copy stays as it is"
	}
	return f, nil
}
