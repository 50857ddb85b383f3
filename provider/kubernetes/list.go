package kubernetes

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

const (
	// pageSize is how many Secrets are asked for at once.
	pageSize = 500

	// minPage fits an answer whatever the annotations of its Secrets are.
	minPage = 8

	// maxSelected limits the number of tags by which the server selects,
	// because they are part of a URL. The others are compared here.
	maxSelected = 20
)

// List implements [provider.Driver]. A page is a call, for metadata. The filter
// is compared here.
//
// Others may remove the marks of a Secret, but cannot change its name. So List
// checks all Secrets of the namespace by name. If the server can select by
// tags, it does so among those that are labelled as ours. They come after those
// without the label, of which there should be none.
func (d *driver) List(filter nebula.Filter) provider.Pages {
	g := &pages{d: d, filter: filter, limit: pageSize, selectors: []string{""}, listed: make(map[nebula.ID]bool)}
	if tags := tagSelector(filter); tags != "" {
		g.selectors = []string{storeLabel + "!=" + d.names.store(), storeLabel + "=" + d.names.store() + tags}
	}
	return g
}

type pages struct {
	d      *driver
	filter nebula.Filter

	selectors []string // of labels; the first is being listed
	limit     int
	next      string // where the server goes on
	last      string // the greatest name that was listed: lists are in their order

	// listed are the credentials that came without our label. If one gets the
	// label meanwhile, it comes again.
	listed map[nebula.ID]bool

	page  []objectMeta // nil: to be fetched
	ended bool         // it is the last of this selector
}

// listing is a page as the server gives it.
type listing struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Continue        string `json:"continue"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Items []struct {
		Metadata objectMeta `json:"metadata"`
	} `json:"items"`
}

// Next implements [provider.Pages]. After a failure the page that was fetched is
// looked at again.
func (g *pages) Next(ctx context.Context) ([]nebula.Entry, error) {
	if !g.more() {
		return nil, io.EOF
	}
	if g.page == nil {
		if err := g.fetch(ctx); err != nil {
			return nil, err
		}
	}
	entries, unsure := g.look()
	more, err := g.readEach(ctx, unsure)
	if err != nil {
		return nil, err
	}
	entries = g.once(append(entries, more...))
	g.advance()
	return entries, nil
}

func (g *pages) more() bool { return len(g.selectors) > 0 }

// once leaves out credentials that came before without our label.
func (g *pages) once(entries []nebula.Entry) []nebula.Entry {
	if len(g.listed) > 0 {
		entries = slices.DeleteFunc(entries, func(e nebula.Entry) bool { return g.listed[e.ID] })
	}
	if len(g.selectors) == 2 {
		for _, e := range entries {
			g.listed[e.ID] = true
		}
	}
	return entries
}

// advance leaves the page behind.
func (g *pages) advance() {
	if n := len(g.page); n > 0 {
		g.last = max(g.last, g.page[n-1].Name)
	}
	if g.page = nil; g.ended {
		g.selectors, g.next, g.last, g.ended = g.selectors[1:], "", "", false
	}
}

// fetch gets a page.
func (g *pages) fetch(ctx context.Context) error {
	l, err := g.d.listPage(ctx, g.selectors[0], g.limit, g.next)
	if next, expired := expiredAt(err); expired && g.next != "" {
		// The server says where the list goes on. If it does not, the list
		// begins again and skips what was listed.
		g.next = next
		l, err = g.d.listPage(ctx, g.selectors[0], g.limit, g.next)
	}
	for isTooLarge(err) && g.limit > minPage {
		g.limit = max(g.limit/4, minPage)
		l, err = g.d.listPage(ctx, g.selectors[0], g.limit, g.next)
	}
	if err != nil {
		return err
	}
	if l.Metadata.Continue != "" && l.Metadata.Continue == g.next {
		return errForeignAnswer() // there would be no end
	}
	g.next, g.ended = l.Metadata.Continue, l.Metadata.Continue == ""
	g.page = make([]objectMeta, len(l.Items))
	for i, item := range l.Items {
		g.page[i] = item.Metadata
	}
	return nil
}

// look returns the entries for which the page has enough data, and the Secrets
// that must be read.
func (g *pages) look() (entries []nebula.Entry, unsure []objectMeta) {
	for _, m := range g.page {
		if m.Name <= g.last || !m.stays() {
			continue
		}
		name, ours := g.d.names.parse(m)
		if !ours {
			if g.d.names.unmarked(m) && g.mayMatch(m) {
				unsure = append(unsure, m)
			}
			continue
		}
		metadata, known := unproject(m)
		entry := nebula.Entry{ID: name.ID(), Version: m.version(), Metadata: &metadata}
		switch {
		case !g.filter.MatchesID(name.ID()):
		case known && g.filter.Matches(name.ID(), metadata):
			entries = append(entries, entry)
		case !known && g.filter.NeedsMetadata():
			unsure = append(unsure, m)
		case !known:
			entry.Metadata = nil
			entries = append(entries, entry)
		}
	}
	return entries, unsure
}

// mayMatch reports whether a Secret without a mark is in the place of a
// credential that may be asked for.
func (g *pages) mayMatch(m objectMeta) bool {
	name, decoded := g.d.names.decode(m.Name)
	return decoded && g.filter.MatchesID(name.ID()) || g.d.names.isHashed(m.Name)
}

func (d *driver) listPage(ctx context.Context, selector string, limit int, next string) (listing, error) {
	query := url.Values{"fieldSelector": {"type=" + opaque}, "limit": {strconv.Itoa(limit)}}
	if selector != "" {
		query.Set("labelSelector", selector)
	}
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

// tagSelector selects the tags of a filter that are labels, as an addition to a
// selector.
func tagSelector(filter nebula.Filter) string {
	selector := ""
	selected := 0
	for _, key := range sorted(filter.Tags) {
		if value := filter.Tags[key]; fitsLabel(key, value) && selected < maxSelected {
			selector += "," + tagLabel(key) + "=" + value
			selected++
		}
	}
	return selector
}
