package memory

import (
	"context"
	"io"
	"sync"

	"github.com/nebula-credential/nebula"
)

const pageSize = 100

// List implements [nebula.Provider].
func (p *Provider) List(_ context.Context, filter nebula.Filter) nebula.Pager {
	return &pager{p: p, filter: filter}
}

// pager takes the names at its first page, so that each is listed once
// whatever is stored or deleted meanwhile, and looks at the records page by
// page.
type pager struct {
	p      *Provider
	filter nebula.Filter

	mu     sync.Mutex // Close may come at any time
	begun  bool
	closed bool
	names  []nebula.Name // still to be looked at
}

func (g *pager) NextPage(ctx context.Context) ([]nebula.Entry, error) {
	const op = "list"
	g.mu.Lock()
	defer g.mu.Unlock()
	g.p.mu.RLock()
	defer g.p.mu.RUnlock()
	if err := g.p.ready(ctx); err != nil {
		return nil, located(err, op, nebula.Name{})
	}
	if g.closed {
		return nil, located(&nebula.Error{Kind: nebula.ErrClosed, Message: "the list is closed"}, op, nebula.Name{})
	}
	if !g.begun {
		g.begun, g.names = true, g.p.names(g.filter.Prefix)
	}
	if len(g.names) == 0 {
		return nil, io.EOF
	}
	page := g.names[:min(pageSize, len(g.names))]
	g.names = g.names[len(page):]
	var entries []nebula.Entry
	for _, name := range page {
		if entry, ok := g.entry(name); ok {
			entries = append(entries, entry)
		}
	}
	return entries, nil
}

// entry returns the entry of a name, and false where it is not to be listed.
func (g *pager) entry(name nebula.Name) (nebula.Entry, bool) {
	c := g.p.live(name)
	if c == nil {
		return nebula.Entry{}, false
	}
	v := c.current()
	entry := nebula.Entry{ID: name.ID(), Version: v.id}
	if v.err != nil {
		// Whether it matches cannot be known: it is listed with the reason.
		if g.filter.NeedsMetadata() {
			entry.Err = located(v.err, "list", name)
		}
		return entry, true
	}
	m := v.envelope.Metadata()
	entry.Metadata = &m
	return entry, g.filter.Matches(name.ID(), m)
}

func (g *pager) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.names = true, nil
	return nil
}

// names returns the names of the live credentials that begin with prefix.
func (p *Provider) names(prefix string) []nebula.Name {
	filter := nebula.Filter{Prefix: prefix}
	names := make([]nebula.Name, 0, len(p.credentials))
	for name, c := range p.credentials {
		if !c.deleted && !name.IsKeyring() && filter.MatchesID(name.ID()) {
			names = append(names, name)
		}
	}
	return names
}
