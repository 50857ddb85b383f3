package azure

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"golang.org/x/sync/errgroup"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/azureapi"
	"github.com/nebula-credential/nebula/provider"
)

// maxReads is how many secrets are read at once to see what they are.
const maxReads = 8

// List implements [provider.Driver]. It makes one call for each 25 secrets of
// the whole vault, those of others included: Key Vault has no filter. The
// answers include the tags, so a filter costs nothing more. If a secret is
// stored where a record belongs and no tags say so, List reads it to see
// whether others removed the tags.
func (d *driver) List(filter nebula.Filter) provider.Pages {
	return &pages{driver: d, filter: filter, more: true}
}

type pages struct {
	driver *driver
	filter nebula.Filter
	more   bool
	next   *string // where the next page is; nil for the first one

	// items are those of the last page, until all of them are identified.
	items []*azsecrets.SecretProperties
}

// Next implements [provider.Pages].
func (p *pages) Next(ctx context.Context) ([]nebula.Entry, error) {
	if p.items == nil {
		if err := p.turn(ctx); err != nil {
			return nil, err
		}
	}
	found := make([]nebula.Entry, len(p.items))
	group, groupContext := errgroup.WithContext(ctx)
	group.SetLimit(maxReads)
	for i, item := range p.items {
		name, metadata, certainty := p.driver.owner(item)
		switch {
		case name.IsKeyring():
		case certainty == certain:
			found[i] = nebula.Entry{ID: name.ID(), Metadata: &metadata}
		case certainty == uncertain:
			group.Go(func() (err error) {
				found[i], err = p.driver.tell(groupContext, item, name)
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	p.items = nil
	return slices.DeleteFunc(found, func(e nebula.Entry) bool { return !matches(p.filter, e) }), nil
}

// turn gets the next page. After a failure the SDK's pager ends for good, as if
// the list had ended. So each page has a pager of its own.
func (p *pages) turn(ctx context.Context) error {
	if !p.more {
		return io.EOF
	}
	pager, err := p.driver.pagerAt(ctx, p.next)
	if err != nil {
		return err
	}
	page, err := read(ctx, p.driver, pager.NextPage)
	if err == nil && isCircle(p.next, page.NextLink) {
		err = p.driver.vault.ForeignAnswer()
	}
	if err != nil {
		return err
	}
	p.more, p.next, p.items = pager.More(), page.NextLink, page.Value
	return nil
}

// pagerAt returns a pager that begins at the page of the link.
func (d *driver) pagerAt(ctx context.Context, next *string) (*runtime.Pager[azsecrets.ListSecretPropertiesResponse], error) {
	pager := d.client.NewListSecretPropertiesPager(nil)
	if next == nil {
		return pager, nil
	}
	before, err := json.Marshal(map[string]*string{"nextLink": next})
	if err == nil {
		err = json.Unmarshal(before, pager)
	}
	if err == nil {
		_, err = pager.NextPage(ctx) // the page before, which it holds
	}
	return pager, err
}

// matches reports whether an entry is to be listed. An entry that cannot be
// read may match.
func matches(f nebula.Filter, e nebula.Entry) bool {
	switch _, err := e.ID.Name(); {
	case e.Metadata != nil:
		return f.Matches(e.ID, *e.Metadata)
	case e.Err != nil:
		return err != nil || f.MatchesID(e.ID)
	}
	return false
}

// isCircle reports whether a page names itself as the next one. Several empty
// pages in a row are normal, so nothing else would end the list.
func isCircle(last, next *string) bool {
	return last != nil && next != nil && *next != "" && *last == *next
}

// certainty says how much an item of a list shows by itself.
type certainty int

const (
	notOurs   certainty = iota
	certain             // its tags name the credential that it is
	uncertain           // only its value tells
)

// owner returns the name whose record an item of a list is, by its tags, or may
// be, by its place.
func (d *driver) owner(item *azsecrets.SecretProperties) (nebula.Name, nebula.Metadata, certainty) {
	if item == nil || item.ID == nil || item.Managed != nil && *item.Managed {
		return nebula.Name{}, nebula.Metadata{}, notOurs
	}
	secret, _, ok := parseSecretID(string(*item.ID))
	if !ok {
		return nebula.Name{}, nebula.Metadata{}, notOurs
	}
	l, metadata, ok := unproject(item.Tags)
	name, holds := d.names.holds(secret, l.ID)
	switch {
	case ok && holds:
		return name, metadata, certain
	case ok && isOfAnotherPrefix(secret, l.ID):
		return nebula.Name{}, nebula.Metadata{}, notOurs
	}
	name, place := d.names.place(secret)
	if place == elsewhere {
		return nebula.Name{}, nebula.Metadata{}, notOurs
	}
	return name, nebula.Metadata{}, uncertain
}

// tell returns the entry of a secret under our prefix whose tags do not show
// what it is, or none. The name is zero if the secret's own name holds no id.
func (d *driver) tell(ctx context.Context, item *azsecrets.SecretProperties, name nebula.Name) (nebula.Entry, error) {
	id, _, _ := parseSecretID(string(*item.ID))
	shown := nebula.Entry{ID: name.ID()}
	if name == (nebula.Name{}) {
		shown.ID = nebula.ID("secrets/" + id)
	}
	s, err := d.getSecret(ctx, id, name, "")
	switch {
	case isMissing(err):
		return nebula.Entry{}, nil
	case azureapi.HasStatus(err, http.StatusForbidden) && !azureapi.IsShutOut(err): // disabled, or denied
		shown.Err = d.errUntold(err)
		return shown, nil
	case err != nil:
		return nebula.Entry{}, err
	case !s.isRecord():
		return nebula.Entry{}, nil
	}
	if name == (nebula.Name{}) {
		if name, err = d.nameFromVersions(ctx, id); err != nil {
			return nebula.Entry{}, err
		}
		shown.ID = name.ID()
	}
	switch {
	case name == (nebula.Name{}):
		shown.ID, shown.Err = nebula.ID("secrets/"+id), errIDLost()
	case s.envelope == nil:
		shown.Err = s.damage
	default:
		metadata := s.envelope.Metadata()
		shown.Version, shown.Metadata = s.version, &metadata
	}
	return shown, nil
}

// nameFromVersions returns the name that the tags of an older version say, or
// none.
func (d *driver) nameFromVersions(ctx context.Context, secret string) (nebula.Name, error) {
	versions, err := d.versions(ctx, secret)
	if err != nil {
		return nebula.Name{}, err
	}
	for _, v := range versions {
		if v == nil {
			continue
		}
		l, _, _ := unproject(v.Tags)
		if name, holds := d.names.holds(secret, l.ID); holds {
			return name, nil
		}
	}
	return nebula.Name{}, nil
}
