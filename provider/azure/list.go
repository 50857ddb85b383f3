package azure

import (
	"context"
	"io"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/remote"
)

// List implements [nebula.Provider]. It makes a call for each 25 secrets of the
// whole vault, whosever they are: Key Vault has no filter. Tags are in the
// answer, so that no filter costs more.
func (p *Provider) List(_ context.Context, filter nebula.Filter) nebula.Pager {
	return &pager{p: p, filter: filter, pages: p.client.NewListSecretPropertiesPager(nil)}
}

type pager struct {
	p      *Provider
	filter nebula.Filter

	mu     sync.Mutex
	closed bool
	next   *string // where the page after the last one is
	pages  *runtime.Pager[azsecrets.ListSecretPropertiesResponse]
}

// NextPage implements [nebula.Pager].
func (g *pager) NextPage(ctx context.Context) ([]nebula.Entry, error) {
	const op = "list"
	if err := g.p.life.Enter(ctx); err != nil {
		return nil, g.p.fail(op, nebula.Name{}, err)
	}
	defer g.p.life.Leave()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, g.p.fail(op, nebula.Name{}, remote.ErrListClosed())
	}
	if !g.pages.More() {
		return nil, io.EOF
	}
	page, err := read(ctx, g.p, g.pages.NextPage)
	if err == nil && isCircle(g.next, page.NextLink) {
		err = errForeignAnswer()
	}
	if err != nil {
		return nil, g.p.fail(op, nebula.Name{}, err)
	}
	g.next = page.NextLink
	var entries []nebula.Entry
	for _, item := range page.Value {
		if entry, ok := g.p.entry(item); ok && g.filter.Matches(entry.ID, *entry.Metadata) {
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

// Close implements [nebula.Pager].
func (g *pager) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	return nil
}

// entry returns the credential that an item of a list is, and false for the
// keyring and for what others put there.
func (p *Provider) entry(item *azsecrets.SecretProperties) (nebula.Entry, bool) {
	name, metadata, ours := p.owner(item)
	if !ours || name.IsKeyring() {
		return nebula.Entry{}, false
	}
	return nebula.Entry{ID: name.ID(), Metadata: &metadata}, true
}

// owner returns the name whose record an item of a list is, and its metadata,
// if it is one.
func (p *Provider) owner(item *azsecrets.SecretProperties) (nebula.Name, nebula.Metadata, bool) {
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
	name, ok := p.names.owner(secret, l)
	return name, metadata, ok
}
