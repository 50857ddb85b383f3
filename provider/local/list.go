package local

import (
	"context"
	"io"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/provider"
)

// List goes through the names in the directory, a batch of them a page. It
// reads records if the filter asks for more than the id, and remembers their
// metadata for the next time.
func (d *driver) List(filter nebula.Filter) provider.Pages {
	return &pages{driver: d, filter: filter}
}

type pages struct {
	driver *driver
	filter nebula.Filter

	base  *base
	names *atomicfile.Names // nil before the first page

	page    []nebula.Entry // of the present batch
	checked int            // how many of page were read and compared
	matched int            // how many of those stay, at the front

	ids   []byte // of the present batch, one after another
	found []found
	temps []string
}

// found is a name of a batch.
type found struct {
	end  int // in pages.ids
	mode fileMode
}

// Next returns the entries of the next batch of names.
func (g *pages) Next(ctx context.Context) ([]nebula.Entry, error) {
	if g.names == nil {
		if err := g.open(); err != nil {
			if isMissing(err) {
				return nil, io.EOF
			}
			return nil, err
		}
	}
	if g.checked == len(g.page) {
		if err := g.readBatch(); err != nil {
			return nil, err
		}
	}
	if !g.filter.NeedsMetadata() {
		g.checked = len(g.page)
		return g.page, nil
	}
	if err := g.match(ctx); err != nil {
		return nil, err
	}
	return g.page[:g.matched], nil
}

func (g *pages) open() (err error) {
	if g.base, err = g.driver.bases.forReading(true); err != nil {
		return err
	}
	g.names, err = g.base.Names()
	return err
}

// readBatch fills page with the ids of the next batch of names.
func (g *pages) readBatch() error {
	g.page, g.checked, g.matched = g.page[:0], 0, 0
	g.ids, g.found, g.temps = g.ids[:0], g.found[:0], g.temps[:0]
	if err := g.names.Next(g.visit); err != nil {
		return err
	}
	// One string for all, since a million small ones cost more than the names.
	ids, start := string(g.ids), 0
	for _, f := range g.found {
		id, err := nebula.ParseID(ids[start:f.end])
		start = f.end
		if err != nil {
			continue // somebody else's file
		}
		g.append(id, f.mode)
	}
	if g.driver.config.EnableLocking {
		for _, name := range g.temps {
			g.base.Sweep(name)
		}
	}
	return nil
}

// visit notes a name that may be of use. It is called for each.
func (g *pages) visit(name []byte, mode fileMode) {
	if isTemp(name) {
		g.temps = append(g.temps, string(name))
		return
	}
	stem, ok := g.driver.naming.stem(name)
	if ok && strings.HasPrefix(string(stem), g.filter.Prefix) {
		g.ids = append(g.ids, stem...)
		g.found = append(g.found, found{len(g.ids), mode})
	}
}

func (g *pages) append(id nebula.ID, mode fileMode) {
	if !atomicfile.IsKnown(mode) {
		stat, err := g.base.Lstat(string(id) + g.driver.naming.suffix)
		if isMissing(err) {
			return
		}
		if err == nil {
			mode = stat.Mode.Type()
		}
	}
	entry := nebula.Entry{ID: id}
	if !mode.IsRegular() && atomicfile.IsKnown(mode) {
		entry.Err = &atomicfile.NotRegularError{Mode: mode}
	}
	g.page = append(g.page, entry)
}

// match keeps the entries of page that match the filter, or cannot be read.
func (g *pages) match(ctx context.Context) error {
	for g.checked < len(g.page) {
		const checkEvery = 64
		if g.checked%checkEvery == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		entry := g.page[g.checked]
		if entry.Err == nil {
			described, err := g.driver.describe(g.base, entry.ID)
			switch {
			case isMissing(err):
				g.checked++
				continue
			case err != nil:
				entry.Err = err
			case !g.filter.Matches(entry.ID, *described.metadata):
				g.checked++
				continue
			default:
				entry.Version, entry.Metadata = sumVersion(described.sum), described.metadata
			}
		}
		g.page[g.matched] = entry
		g.matched++
		g.checked++
	}
	return nil
}

// Close implements [io.Closer].
func (g *pages) Close() error {
	if g.names == nil {
		return nil
	}
	return g.names.Close()
}
