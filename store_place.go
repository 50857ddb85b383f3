package nebula

import "context"

// Questions to a store's backend before anything is written to it.

// Identity says which backend the store is on. It asks the backend: two stores of
// the same records have the same identity, however their addresses are spelt. It
// is "" if it is not known, because there is nothing there yet or the provider
// has no such ability.
func (s *Store) Identity(ctx context.Context) (string, error) {
	i, ok := As[Identifier](s.provider)
	if !ok {
		return "", nil
	}
	identity, err := i.Identity(ctx)
	if err != nil || identity == "" {
		return "", s.locate(err, "identity", "")
	}
	return s.description.Provider + ":" + identity, nil
}

// Fits returns nil if the store could hold a record. It does no I/O.
//
// Errors: ErrTooLarge; ErrInvalidMetadata for a limit of the provider, on tags for
// example; ErrConflict if the record is of another scope than the store; ErrUsage
// if it is a keyring.
func (s *Store) Fits(ctx context.Context, id ID, e *Envelope) error {
	name, scope, err := s.prepare(ctx, id)
	if err == nil {
		err = checkArrival(e, scope)
	}
	if limit := s.description.MaxRecordSize; err == nil && limit > 0 && len(e.raw) > limit {
		err = tooLarge(len(e.raw), limit, s.description.Provider)
	}
	if f, ok := As[Fitter](s.provider); err == nil && ok {
		err = f.Fits(name, e)
	}
	return s.locate(err, "store", id)
}

// HasKeyring reports whether the backend has a keyring, whatever a pin or the
// configuration says about the store.
func (s *Store) HasKeyring(ctx context.Context) (bool, error) {
	found, err := s.provider.Exists(ctx, KeyringName())
	if KindOf(err) == ErrNotFound { // not even its mount or namespace
		found, err = false, nil
	}
	return found, s.locate(err, "exists", "")
}
