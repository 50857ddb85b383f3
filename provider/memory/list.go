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

// pages collects the names for its first page, so that each is listed once even
// if records are stored and deleted meanwhile. It reads the records page by page.
type pages struct {
	driver *driver
	filter nebula.Filter

	begun bool
	names []nebula.Name // not yet listed
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

// entry returns the entry of a name, or false if it does not match.
func (p *pages) entry(name nebula.Name) (nebula.Entry, bool) {
	c := p.driver.live(name)
	if c == nil {
		return nebula.Entry{}, false
	}
	v := c.current()
	entry := nebula.Entry{ID: name.ID(), Version: v.id}
	if v.err != nil {
		// Whether it matches is unknown: list it with the reason.
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
