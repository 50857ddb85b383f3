package kubernetes

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

const (
	// pageSize is how many Secrets are asked for at once.
	pageSize = 500

	// minPage fits an answer whatever the annotations of its Secrets are.
	minPage = 8

	// maxReads limits the calls under way if each is for one Secret.
	maxReads = 16

	// maxSelected bounds the tags that the server selects by: they stand in a
	// URL. The rest is compared here.
	maxSelected = 20
)

// List implements [provider.Driver]. A page is a call, for metadata. Tags that
// are labels are selected by on the server, and all that is asked for is
// compared here.
func (d *driver) List(filter nebula.Filter) provider.Pages {
	return &pages{d: d, filter: filter, limit: pageSize}
}

type pages struct {
	d      *driver
	filter nebula.Filter

	ended bool
	limit int
	next  string // where the server goes on
	last  string // the greatest name that was listed: lists are in their order

	// page and entries are what is known of a page that failed on the way.
	page    []item
	entries []nebula.Entry
}

// item is one of a list.
type item struct {
	Metadata objectMeta `json:"metadata"`
}

// listing is a page as the server gives it.
type listing struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Continue string `json:"continue"`
	} `json:"metadata"`
	Items []item `json:"items"`
}

// Next implements [provider.Pages].
func (g *pages) Next(ctx context.Context) ([]nebula.Entry, error) {
	if g.page == nil {
		if g.ended {
			return nil, io.EOF
		}
		if err := g.fetch(ctx); err != nil {
			return nil, err
		}
	}
	for len(g.page) > 0 {
		if err := g.take(ctx, g.page[0].Metadata); err != nil {
			return nil, err
		}
		g.page = g.page[1:]
	}
	entries := g.entries
	g.page, g.entries = nil, nil
	return entries, nil
}

// fetch gets a page.
func (g *pages) fetch(ctx context.Context) error {
	l, err := g.d.listPage(ctx, g.filter, g.limit, g.next)
	if next, expired := expiredAt(err); expired && g.next != "" {
		// The server says where it goes on. Where it does not, the list begins
		// again, and what was listed is passed over.
		g.next = next
		l, err = g.d.listPage(ctx, g.filter, g.limit, g.next)
	}
	for isTooLarge(err) && g.limit > minPage {
		g.limit = max(g.limit/4, minPage)
		l, err = g.d.listPage(ctx, g.filter, g.limit, g.next)
	}
	if err != nil {
		return err
	}
	if l.Metadata.Continue != "" && l.Metadata.Continue == g.next {
		return errForeignAnswer() // there would be no end
	}
	g.next, g.ended = l.Metadata.Continue, l.Metadata.Continue == ""
	g.page = l.Items
	if g.page == nil {
		g.page = []item{}
	}
	return nil
}

// take adds the entry of a Secret, if it is a credential's that matches.
func (g *pages) take(ctx context.Context, m objectMeta) error {
	if m.Name <= g.last {
		return nil
	}
	name, ours := g.d.names.parse(m)
	if ours && m.stays() && g.filter.MatchesID(name.ID()) {
		entry, matches, err := g.entry(ctx, name, m)
		if err != nil {
			return err
		}
		if matches {
			g.entries = append(g.entries, entry)
		}
	}
	g.last = m.Name
	return nil
}

func (g *pages) entry(ctx context.Context, name nebula.Name, m objectMeta) (nebula.Entry, bool, error) {
	entry := nebula.Entry{ID: name.ID(), Version: m.version()}
	if metadata, ok := unproject(m); ok {
		entry.Metadata = &metadata
		return entry, g.filter.Matches(name.ID(), metadata), nil
	}
	if !g.filter.NeedsMetadata() {
		return entry, true, nil
	}
	return g.readOne(ctx, name)
}

// readOne reads the record of a Secret whose annotation is not the one that was
// written.
func (g *pages) readOne(ctx context.Context, name nebula.Name) (nebula.Entry, bool, error) {
	s, err := g.d.readOurs(ctx, name, acceptJSON, kindSecret)
	if err != nil {
		if isAbsent(err) {
			err = nil // gone since it was listed
		}
		return nebula.Entry{}, false, err
	}
	entry := nebula.Entry{ID: name.ID(), Version: s.Metadata.version()}
	record, err := s.record(name)
	if err != nil {
		// Whether it matches cannot be known: it is listed with the reason.
		entry.Err = err
		return entry, true, nil
	}
	metadata := record.Envelope.Metadata()
	entry.Metadata = &metadata
	return entry, g.filter.Matches(name.ID(), metadata), nil
}

func (d *driver) listPage(ctx context.Context, filter nebula.Filter, limit int, next string) (listing, error) {
	query := url.Values{"labelSelector": {d.selector(filter)}, "limit": {strconv.Itoa(limit)}}
	if next != "" {
		query.Set("continue", next)
	}
	a, err := d.call(ctx, request{method: http.MethodGet, path: d.secrets(), query: query, accept: acceptMetadataList,
		limit: maxListAnswer, verb: "list", resource: "secrets"})
	if err != nil {
		return listing{}, err
	}
	var l listing
	if json.Unmarshal(a.Body, &l) != nil || l.Kind != kindMetadataList {
		return listing{}, errForeignAnswer()
	}
	return l, nil
}

// selector returns the labels that all Secrets have which may match.
func (d *driver) selector(filter nebula.Filter) string {
	selector := storeLabel + "=" + d.names.store()
	selected := 0
	for _, key := range sorted(filter.Tags) {
		if value := filter.Tags[key]; fitsLabel(key, value) && selected < maxSelected {
			selector += "," + tagLabel(key) + "=" + value
			selected++
		}
	}
	return selector
}
