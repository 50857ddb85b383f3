package nebula

import (
	"context"
	"slices"
)

// GetResult is the outcome for one id of [Store.GetMany].
type GetResult struct {
	Credential
	Err error // nil, or why the Credential has nothing but its ID
}

// GetMany reads several credentials, in as few calls as the backend allows, and
// returns one result for each id, in their order. Each credential is opened and
// checked as by [Store.Get], with the same errors. If an id is named twice, it is
// read once and returned twice, each with a Secret of its own. All credentials are
// in memory at the same time: read thousands in parts.
func (s *Store) GetMany(ctx context.Context, ids []ID) []GetResult {
	m := &getMany{store: s, results: make([]GetResult, len(ids)), places: make(map[Name][]int, len(ids))}
	var refused error
	m.scope, refused = s.requestedScope(ctx)
	for i, id := range ids {
		m.results[i].ID = id
		name, err := id.Name()
		if err == nil {
			err = refused
		}
		if err != nil {
			m.results[i].Err = s.locate(err, "retrieve", id)
			continue
		}
		if m.places[name] == nil {
			m.names = append(m.names, name)
		}
		m.places[name] = append(m.places[name], i)
	}
	m.read(ctx)
	return m.results
}

// getMany is a call of GetMany.
type getMany struct {
	store   *Store
	scope   string
	results []GetResult
	names   []Name
	places  map[Name][]int // of a name's results
	missing error          // set if there is no store either
	looked  bool           // whether that was looked for
}

func (m *getMany) read(ctx context.Context) {
	m.takeCached(ctx)
	if len(m.names) == 0 {
		return
	}
	if err := m.store.connectLate(ctx); err != nil {
		m.failAll(ctx, err)
		return
	}
	keyring := m.store.prefetchKeyring(ctx)
	defer keyring.cancel()
	readings := m.store.beginReads(m.names...)
	for i, read := range m.store.retrieveAll(ctx, m.names) {
		name := m.names[i]
		c, r, err := Credential{}, read.Record, read.Err
		if err == nil {
			c, r, err = m.store.openNewest(ctx, name, r, keyring, inScopeOnly(m.scope))
		}
		if readings != nil {
			c, err = m.store.readOrKnown(ctx, readings[i], m.scope, c, r.Envelope, err)
		}
		if err != nil {
			if read.Err != nil {
				err = m.explain(ctx, keyring, err)
			}
			m.fail(name, err)
			continue
		}
		if m.store.options.TrackAccess {
			m.store.noteAccess(ctx, name, &c, r.Envelope)
		}
		m.set(name, c)
	}
}

// takeCached removes the names that need not be read.
func (m *getMany) takeCached(ctx context.Context) {
	if m.store.cache == nil {
		return
	}
	m.names = slices.DeleteFunc(m.names, func(name Name) bool {
		c, ok := m.store.cached(ctx, name, m.scope)
		if ok {
			m.set(name, c)
		}
		return ok
	})
}

// failAll gives every name the last known record, or the failure.
func (m *getMany) failAll(ctx context.Context, failure error) {
	readings := m.store.beginReads(m.names...)
	for i, name := range m.names {
		if c, err := m.store.readOrKnown(ctx, readings[i], m.scope, Credential{}, nil, failure); err == nil {
			m.set(name, c)
		} else {
			m.fail(name, err)
		}
	}
}

// explain returns err, or an error that says that there is no store. It looks
// for the store once.
func (m *getMany) explain(ctx context.Context, keyring *prefetch, err error) error {
	if KindOf(err) != ErrNotFound {
		return err
	}
	if !m.looked {
		m.missing, m.looked = m.store.wantPrefetched(ctx, keyring), true
	}
	if m.missing != nil {
		return m.missing
	}
	return err
}

func (m *getMany) fail(name Name, err error) {
	for _, place := range m.places[name] {
		m.results[place].Err = m.store.locate(err, "retrieve", name.ID())
	}
}

func (m *getMany) set(name Name, c Credential) {
	for i, place := range m.places[name] {
		own := c
		if i > 0 {
			own.Secret, own.Metadata = NewSecret(c.Secret.Reveal()), c.Metadata.clone()
		}
		m.results[place].Credential = own
	}
}
