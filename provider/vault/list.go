package vault

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/vaultapi"
	"github.com/nebula-credential/nebula/provider"
)

const (
	// namesPage is the length of a page of names, which cost no further calls.
	namesPage = 1000
	// lookedPage is the length of a page if each name costs a call, and atOnce
	// is how many of these calls are under way.
	lookedPage = 100
	atOnce     = 16
)

// List implements [provider.Driver]. One call returns all names. If the filter
// needs more than the name, List reads the metadata of each as well. It reads
// the value only if the metadata does not show whether it matches.
func (d *driver) List(filter nebula.Filter) provider.Pages { return &pages{d: d, filter: filter} }

type pages struct {
	d      *driver
	filter nebula.Filter

	begun bool
	look  bool          // whether the metadata of each is read
	names []nebula.Name // still to be listed

	// found has the results for the present page, by place. If a page fails, it
	// goes on from there.
	found []*candidate
}

// candidate is the result of looking at one name.
type candidate struct {
	entry nebula.Entry
	match bool
}

// Next implements [provider.Pages].
func (p *pages) Next(ctx context.Context) ([]nebula.Entry, error) {
	if !p.begun {
		if err := p.begin(ctx); err != nil {
			return nil, err
		}
	}
	switch {
	case len(p.names) == 0:
		return nil, io.EOF
	case p.look:
		return p.nextLooked(ctx)
	}
	page := p.names[:min(namesPage, len(p.names))]
	p.names = p.names[len(page):]
	entries := make([]nebula.Entry, len(page))
	for i, name := range page {
		entries[i].ID = name.ID()
	}
	return entries, nil
}

// nextLooked returns the next page of those whose metadata is read.
func (p *pages) nextLooked(ctx context.Context) ([]nebula.Entry, error) {
	page := p.names[:min(lookedPage, len(p.names))]
	if err := p.lookAt(ctx, page); err != nil {
		return nil, err
	}
	entries := make([]nebula.Entry, 0, len(page))
	for _, c := range p.found {
		if c.match {
			entries = append(entries, c.entry)
		}
	}
	p.names, p.found = p.names[len(page):], nil
	return entries, nil
}

// begin gets the names.
func (p *pages) begin(ctx context.Context) error {
	known := p.d.excludes.Load()
	p.look = p.filter.NeedsMetadata() || p.filter.WithMetadata || p.d.scheduled.Load() || known < 0
	var keys []string
	var err error
	if p.look || known > 0 {
		keys, err = p.d.keys(ctx, !p.look)
	} else {
		keys, err = p.firstKeys(ctx)
	}
	if err != nil {
		return err
	}
	for _, key := range keys {
		if name, ok := parseKey(key); ok && p.filter.MatchesID(name.ID()) {
			p.names = append(p.names, name)
		}
	}
	p.begun = true
	return nil
}

// firstKeys asks for the names, and at the same time whether the server can
// leave out deleted ones. A server that cannot lists them too.
func (p *pages) firstKeys(ctx context.Context) (keys []string, err error) {
	group, groupContext := errgroup.WithContext(ctx)
	group.Go(func() error {
		p.look = !p.d.leavesOutDeleted(groupContext)
		return nil
	})
	group.Go(func() (err error) {
		keys, err = p.d.keys(groupContext, true)
		return err
	})
	err = group.Wait()
	return keys, err
}

// keys returns the names in the folder. If the server can, it leaves out those
// whose latest version is deleted.
func (d *driver) keys(ctx context.Context, exclude bool) ([]string, error) {
	// The slash at the end means a folder. Policies tell it from a secret.
	return d.keysIn(ctx, d.paths.folder("metadata")+"/", exclude)
}

func (d *driver) keysIn(ctx context.Context, folder string, exclude bool) ([]string, error) {
	query := map[string][]string{"list": {"true"}}
	if exclude {
		query["exclude_deleted"] = []string{"true"}
	}
	a, err := d.api.Call(ctx, vaultapi.Request{Method: http.MethodGet, Path: folder, Query: query, Limit: vaultapi.MaxAnswer})
	if isMissing(err) {
		return nil, nil // nothing was stored yet
	}
	if err != nil {
		return nil, err
	}
	data, err := vaultapi.Decode[struct {
		Keys []string `json:"keys"`
	}](d.api, a)
	return data.Keys, err
}

// leavesOutDeleted reports whether the server knows exclude_deleted, as Vault
// does from 1.21 on. It asks once, without a token. It assumes that servers
// with other versions, and forks, do not know it, which costs only calls.
func (d *driver) leavesOutDeleted(ctx context.Context) bool {
	if known := d.excludes.Load(); known != 0 {
		return known > 0
	}
	a, err := d.api.Do(ctx, vaultapi.Request{Method: http.MethodGet, Path: "sys/seal-status", Root: true})
	if err != nil {
		return false
	}
	var body struct {
		Version string `json:"version"`
	}
	err = json.Unmarshal(a.Body, &body)
	major, rest, _ := strings.Cut(body.Version, ".")
	minorText, _, _ := strings.Cut(rest, ".")
	minor, wrong := strconv.Atoi(minorText)
	knows := err == nil && major == "1" && wrong == nil && minor >= 21
	d.excludes.Store(map[bool]int32{true: 1, false: -1}[knows])
	return knows
}

// lookAt reads the metadata of each name of the page that is not known yet.
func (p *pages) lookAt(ctx context.Context, page []nebula.Name) error {
	if p.found == nil {
		p.found = make([]*candidate, len(page))
	}
	group, groupContext := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, name := range page {
		if p.found[i] != nil {
			continue
		}
		group.Go(func() error {
			c, err := p.lookAtOne(groupContext, name)
			if err == nil {
				p.found[i] = &c
			}
			return err
		})
	}
	return group.Wait()
}

func (p *pages) lookAtOne(ctx context.Context, name nebula.Name) (candidate, error) {
	m, err := p.d.readMetadata(ctx, name)
	switch {
	case isMissing(err):
		return candidate{}, nil // gone since it was listed
	case err != nil:
		return candidate{}, err
	case !m.live():
		return candidate{}, nil
	}
	c := candidate{entry: nebula.Entry{ID: name.ID(), Version: m.current()}}
	metadata, ok := unproject(m.CustomMetadata)
	if !ok && p.filter.NeedsMetadata() {
		return p.readOne(ctx, name)
	}
	created, modified := m.times()
	if !ok { // what Vault itself knows: the value is not read for more
		metadata = nebula.Metadata{CreatedAt: created}
	}
	metadata.LastModified = modified
	c.entry.Metadata = &metadata
	c.match = p.filter.Matches(name.ID(), metadata)
	return c, nil
}

// readOne reads the record of a secret whose custom metadata is not ours, or
// was never written, to see whether it matches.
func (p *pages) readOne(ctx context.Context, name nebula.Name) (candidate, error) {
	s, err := p.d.read(ctx, name, 0)
	if isMissing(err) {
		return candidate{}, nil
	}
	if err != nil {
		return candidate{}, err
	}
	c := candidate{entry: nebula.Entry{ID: name.ID(), Version: s.version()}}
	record, err := s.record(name)
	switch {
	case errors.Is(err, nebula.ErrNotARecord):
		return candidate{}, nil // it has no metadata that could match
	case err != nil:
		// It is not known whether it matches, so list it with the reason.
		c.match, c.entry.Err = true, err
		return c, nil
	}
	metadata := record.Envelope.Metadata()
	c.entry.Metadata = &metadata
	c.match = p.filter.Matches(name.ID(), metadata)
	return c, nil
}
