package azure

import (
	"context"
	"io"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// List implements [provider.Driver]. It makes a call for each 25 secrets of the
// whole vault, whosever they are: Key Vault has no filter. Tags are in the
// answer, so that no filter costs more.
func (d *driver) List(filter nebula.Filter) provider.Pages {
	return &pages{driver: d, filter: filter, inner: d.client.NewListSecretPropertiesPager(nil)}
}

type pages struct {
	driver *driver
	filter nebula.Filter
	next   *string // where the page after the last one is
	inner  *runtime.Pager[azsecrets.ListSecretPropertiesResponse]
}

// Next implements [provider.Pages].
func (p *pages) Next(ctx context.Context) ([]nebula.Entry, error) {
	if !p.inner.More() {
		return nil, io.EOF
	}
	page, err := read(ctx, p.driver, p.inner.NextPage)
	if err == nil && isCircle(p.next, page.NextLink) {
		err = errForeignAnswer()
	}
	if err != nil {
		return nil, err
	}
	p.next = page.NextLink
	var entries []nebula.Entry
	for _, item := range page.Value {
		if entry, ok := p.driver.entry(item); ok && p.filter.Matches(entry.ID, *entry.Metadata) {
			entries = append(entries, entry)
		}
	}
	return entries, nil
}

// isCircle reports that a page names itself as the next one. Empty pages in a
// row are usual, so that nothing else would end the list.
func isCircle(last, next *string) bool {
	return last != nil && next != nil && *next != "" && *last == *next
}

// entry returns the credential that an item of a list is, and false for the
// keyring and for what others put there.
func (d *driver) entry(item *azsecrets.SecretProperties) (nebula.Entry, bool) {
	name, metadata, ours := d.owner(item)
	if !ours || name.IsKeyring() {
		return nebula.Entry{}, false
	}
	return nebula.Entry{ID: name.ID(), Metadata: &metadata}, true
}

// owner returns the name whose record an item of a list is, and its metadata,
// if it is one.
func (d *driver) owner(item *azsecrets.SecretProperties) (nebula.Name, nebula.Metadata, bool) {
	if item == nil || item.ID == nil || item.Managed != nil && *item.Managed {
		return nebula.Name{}, nebula.Metadata{}, false
	}
	secret, _, ok := parseSecretID(string(*item.ID))
	if !ok {
		return nebula.Name{}, nebula.Metadata{}, false
	}
	l, metadata, ok := unproject(item.Tags)
	if !ok {
		return nebula.Name{}, nebula.Metadata{}, false
	}
	name, ok := d.names.owner(secret, l)
	return name, metadata, ok
}
