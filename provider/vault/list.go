package vault

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/remote"
)

const (
	// namesPage is how many names are a page where they cost nothing more.
	namesPage = 1000
	// lookedPage is how many are where each costs a call, and atOnce how many
	// of these calls are under way.
	lookedPage = 100
	atOnce     = 16
)

// List implements [nebula.Provider]. One call gives all names. Where the filter
// asks more than a name tells, the metadata of each is read as well.
func (p *Provider) List(_ context.Context, filter nebula.Filter) nebula.Pager {
	return &pager{p: p, filter: filter}
}

type pager struct {
	p      *Provider
	filter nebula.Filter

	mu     sync.Mutex
	closed bool
	begun  bool
	look   bool          // whether the metadata of each is read
	names  []nebula.Name // still to be listed

	// found is what is known of the present page, by its places: a page that
	// failed goes on from there.
	found []*looked
}

// looked is what came of looking at one name.
type looked struct {
	entry nebula.Entry
	match bool
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
	if !g.begun {
		if err := g.begin(ctx); err != nil {
			return nil, err
		}
	}
	if len(g.names) == 0 {
		return nil, io.EOF
	}
	if !g.look {
		page := g.names[:min(namesPage, len(g.names))]
		g.names = g.names[len(page):]
		entries := make([]nebula.Entry, len(page))
		for i, name := range page {
			entries[i].ID = name.ID()
		}
		return entries, nil
	}
	page := g.names[:min(lookedPage, len(g.names))]
	if err := g.lookAt(ctx, page); err != nil {
		return nil, err
	}
	entries := make([]nebula.Entry, 0, len(page))
	for _, l := range g.found {
		if l.match {
			entries = append(entries, l.entry)
		}
	}
	g.names, g.found = g.names[len(page):], nil
	return entries, nil
}

// Close implements [nebula.Pager].
func (g *pager) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.names, g.found = true, nil, nil
	return nil
}

// begin gets the names.
func (g *pager) begin(ctx context.Context) error {
	known := g.p.excludes.Load()
	g.look = g.filter.NeedsMetadata() || g.p.scheduled.Load() || known < 0
	var keys []string
	var err error
	if g.look || known > 0 {
		keys, err = g.p.keys(ctx, !g.look)
	} else {
		keys, err = g.firstKeys(ctx)
	}
	if err != nil {
		return err
	}
	for _, key := range keys {
		if name, ok := parseKey(key); ok && g.filter.MatchesID(name.ID()) {
			g.names = append(g.names, name)
		}
	}
	g.begun = true
	return nil
}

// firstKeys asks for the names, and at the same time whether the server knows
// how to leave out deleted ones. One that does not listed them too.
func (g *pager) firstKeys(ctx context.Context) (keys []string, err error) {
	group, groupContext := errgroup.WithContext(ctx)
	group.Go(func() error {
		g.look = !g.p.leavesOutDeleted(groupContext)
		return nil
	})
	group.Go(func() (err error) {
		keys, err = g.p.keys(groupContext, true)
		return err
	})
	err = group.Wait()
	return keys, err
}

// keys returns the names in the folder, without those whose latest version is
// deleted where the server knows how to leave them out.
func (p *Provider) keys(ctx context.Context, exclude bool) ([]string, error) {
	query := map[string][]string{"list": {"true"}}
	if exclude {
		query["exclude_deleted"] = []string{"true"}
	}
	// The slash at the end is that of a folder: policies tell it from a secret.
	a, err := p.call(ctx, request{method: http.MethodGet, path: p.paths.folder("metadata") + "/", query: query, limit: maxListAnswer})
	if isMissing(err) {
		return nil, nil // nothing was stored yet
	}
	if err != nil {
		return nil, err
	}
	data, err := decode[struct {
		Keys []string `json:"keys"`
	}](a)
	return data.Keys, err
}

// leavesOutDeleted reports whether the server knows exclude_deleted: Vault does
// from 1.21 on. It asks once, without a token. Servers with other versions, of
// forks too, are taken not to know it, which costs calls and nothing else.
func (p *Provider) leavesOutDeleted(ctx context.Context) bool {
	if known := p.excludes.Load(); known != 0 {
		return known > 0
	}
	a, err := p.wire.do(ctx, request{method: http.MethodGet, path: "sys/seal-status", root: true})
	if err != nil {
		return false
	}
	version, err := serverVersion(a)
	major, rest, _ := strings.Cut(version, ".")
	minorText, _, _ := strings.Cut(rest, ".")
	minor, wrong := strconv.Atoi(minorText)
	knows := err == nil && major == "1" && wrong == nil && minor >= 21
	p.excludes.Store(map[bool]int32{true: 1, false: -1}[knows])
	return knows
}

// lookAt reads the metadata of each name of the page that is not known yet.
func (g *pager) lookAt(ctx context.Context, page []nebula.Name) error {
	if g.found == nil {
		g.found = make([]*looked, len(page))
	}
	group, groupContext := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, name := range page {
		if g.found[i] != nil {
			continue
		}
		group.Go(func() error {
			l, err := g.lookAtOne(groupContext, name)
			if err == nil {
				g.found[i] = &l
			}
			return err
		})
	}
	return group.Wait()
}

func (g *pager) lookAtOne(ctx context.Context, name nebula.Name) (looked, error) {
	m, err := g.p.readMetadata(ctx, name)
	switch {
	case isMissing(err):
		return looked{}, nil // gone since it was listed
	case err != nil:
		return looked{}, err
	case !m.live():
		return looked{}, nil
	}
	l := looked{entry: nebula.Entry{ID: name.ID(), Version: m.current()}}
	metadata, ok := unproject(m.CustomMetadata)
	if !ok {
		return g.readOne(ctx, name)
	}
	metadata.LastModified = m.modified()
	l.entry.Metadata = &metadata
	l.match = g.filter.Matches(name.ID(), metadata)
	return l, nil
}

// readOne reads the record of a secret whose custom metadata is not ours, or
// was never written.
func (g *pager) readOne(ctx context.Context, name nebula.Name) (looked, error) {
	s, err := g.p.read(ctx, name, 0)
	if isMissing(err) {
		return looked{}, nil
	}
	if err != nil {
		return looked{}, err
	}
	l := looked{entry: nebula.Entry{ID: name.ID(), Version: s.version()}}
	record, err := s.record(name)
	if err != nil {
		// Whether it matches cannot be known: it is listed with the reason.
		l.match = true
		if g.filter.NeedsMetadata() {
			l.entry.Err = g.p.fail("list", name, err)
		}
		return l, nil
	}
	metadata := record.Envelope.Metadata()
	l.entry.Metadata = &metadata
	l.match = g.filter.Matches(name.ID(), metadata)
	return l, nil
}
