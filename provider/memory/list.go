package memory

import (
	"context"
	"io"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

const pageSize = 100

// List implements [provider.Driver].
func (d *driver) List(filter nebula.Filter) provider.Pages { return &pages{driver: d, filter: filter} }

// pages takes the names at its first page, so that each is listed once whatever
// is stored or deleted meanwhile, and looks at the records page by page.
type pages struct {
	driver *driver
	filter nebula.Filter

	begun bool
	names []nebula.Name // still to be looked at
}

// Next implements [provider.Pages].
func (p *pages) Next(context.Context) ([]nebula.Entry, error) {
	p.driver.mu.RLock()
	defer p.driver.mu.RUnlock()
	if !p.begun {
		p.begun, p.names = true, p.driver.names(p.filter)
	}
	if len(p.names) == 0 {
		return nil, io.EOF
	}
	page := p.names[:min(pageSize, len(p.names))]
	p.names = p.names[len(page):]
	var entries []nebula.Entry
	for _, name := range page {
		if entry, ok := p.entry(name); ok {
			entries = append(entries, entry)
		}
	}
	return entries, nil
}

// entry returns the entry of a name, and false if it is not to be listed.
func (p *pages) entry(name nebula.Name) (nebula.Entry, bool) {
	c := p.driver.live(name)
	if c == nil {
		return nebula.Entry{}, false
	}
	v := c.current()
	entry := nebula.Entry{ID: name.ID(), Version: v.id}
	if v.err != nil {
		// Nobody knows whether it matches: it is listed with the reason.
		if p.filter.NeedsMetadata() {
			entry.Err = v.err
		}
		return entry, true
	}
	m := v.envelope.Metadata()
	entry.Metadata = &m
	return entry, p.filter.Matches(name.ID(), m)
}

// names returns the live credentials whose id matches.
func (b *Backend) names(filter nebula.Filter) []nebula.Name {
	names := make([]nebula.Name, 0, len(b.credentials))
	for name, c := range b.credentials {
		if !c.deleted && !name.IsKeyring() && filter.MatchesID(name.ID()) {
			names = append(names, name)
		}
	}
	return names
}
