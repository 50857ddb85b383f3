package kubernetes

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/remote"
)

const (
	// pageSize is how many Secrets are asked for at once.
	pageSize = 500

	// smallestPage fits an answer whatever the annotations of its Secrets are.
	smallestPage = 8

	// atOnce is how many calls are under way where each is for one Secret.
	atOnce = 16

	// mostSelected bounds the tags that the server selects by: they stand in a
	// URL. The rest is compared here.
	mostSelected = 20
)

// List implements [nebula.Provider]. A page is a call, for metadata. Tags that
// are labels are selected by on the server, and all that is asked for is
// compared here.
func (p *Provider) List(_ context.Context, filter nebula.Filter) nebula.Pager {
	return &pager{p: p, filter: filter, limit: pageSize}
}

type pager struct {
	p      *Provider
	filter nebula.Filter

	mu     sync.Mutex
	closed bool
	ended  bool
	limit  int
	next   string // where the server goes on
	last   string // the greatest name that was listed: lists are in their order

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

// NextPage implements [nebula.Pager].
func (g *pager) NextPage(ctx context.Context) ([]nebula.Entry, error) {
	const op = "list"
	if err := g.p.life.Enter(ctx); err != nil {
		return nil, g.p.fail(op, nebula.Name{}, err)
	}
	defer g.p.life.Leave()
	g.mu.Lock()
	defer g.mu.Unlock()
	entries, err := g.nextPage(ctx)
	if err == io.EOF {
		return nil, io.EOF
	}
	return entries, g.p.fail(op, nebula.Name{}, err)
}

func (g *pager) nextPage(ctx context.Context) ([]nebula.Entry, error) {
	if g.closed {
		return nil, remote.ErrListClosed()
	}
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

// Close implements [nebula.Pager].
func (g *pager) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.page, g.entries = true, nil, nil
	return nil
}

// fetch gets a page.
func (g *pager) fetch(ctx context.Context) error {
	l, err := g.p.listPage(ctx, g.filter, g.limit, g.next)
	if next, expired := expiredAt(err); expired && g.next != "" {
		// The server says where it goes on. Where it does not, the list begins
		// again, and what was listed is passed over.
		g.next = next
		l, err = g.p.listPage(ctx, g.filter, g.limit, g.next)
	}
	for isTooLarge(err) && g.limit > smallestPage {
		g.limit = max(g.limit/4, smallestPage)
		l, err = g.p.listPage(ctx, g.filter, g.limit, g.next)
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
func (g *pager) take(ctx context.Context, m objectMeta) error {
	if m.Name <= g.last {
		return nil
	}
	name, ours := g.p.names.parse(m)
	if ours && m.being() && g.filter.MatchesID(name.ID()) {
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

func (g *pager) entry(ctx context.Context, name nebula.Name, m objectMeta) (nebula.Entry, bool, error) {
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
func (g *pager) readOne(ctx context.Context, name nebula.Name) (nebula.Entry, bool, error) {
	s, err := g.p.readOurs(ctx, name, acceptJSON, kindSecret)
	if err != nil {
		if g.p.explain(err).Kind == nebula.ErrNotFound {
			err = nil // gone since it was listed
		}
		return nebula.Entry{}, false, err
	}
	entry := nebula.Entry{ID: name.ID(), Version: s.Metadata.version()}
	record, err := s.record(name)
	if err != nil {
		// Whether it matches cannot be known: it is listed with the reason.
		entry.Err = g.p.fail("list", name, err)
		return entry, true, nil
	}
	metadata := record.Envelope.Metadata()
	entry.Metadata = &metadata
	return entry, g.filter.Matches(name.ID(), metadata), nil
}

func (p *Provider) listPage(ctx context.Context, filter nebula.Filter, limit int, next string) (listing, error) {
	query := url.Values{"labelSelector": {p.selector(filter)}, "limit": {strconv.Itoa(limit)}}
	if next != "" {
		query.Set("continue", next)
	}
	a, err := p.call(ctx, request{method: http.MethodGet, path: p.secrets(), query: query, accept: acceptMetadataList,
		limit: maxListAnswer, verb: "list", resource: "secrets"})
	if err != nil {
		return listing{}, err
	}
	var l listing
	if json.Unmarshal(a.body, &l) != nil || l.Kind != kindMetadataList {
		return listing{}, errForeignAnswer()
	}
	return l, nil
}

// selector returns the labels that all Secrets have which may match.
func (p *Provider) selector(filter nebula.Filter) string {
	selector := storeLabel + "=" + p.names.store()
	selected := 0
	for _, key := range sorted(filter.Tags) {
		if value := filter.Tags[key]; fitsLabel(key, value) && selected < mostSelected {
			selector += "," + tagLabel(key) + "=" + value
			selected++
		}
	}
	return selector
}
