package nebula

import "context"

// History lists the versions of the credential, the newest first, or fails
// with ErrNotSupported if the backend keeps none.
func (s *Store) History(ctx context.Context, id ID) ([]VersionInfo, error) {
	const op = "history"
	name, scope, err := s.prepare(ctx, id)
	if err != nil {
		return nil, s.locate(err, op, id)
	}
	h, ok := As[Historian](s.provider)
	if !ok {
		return nil, s.lacks(op, id, "a history of versions")
	}
	if scope != "" {
		mine, err := s.inScope(ctx, name, scope)
		if err == nil && !mine {
			err = notFound()
		}
		if err != nil {
			return nil, s.locate(s.explainAbsence(ctx, err), op, id)
		}
	}
	versions, err := h.History(ctx, name)
	return versions, s.locate(s.explainAbsence(ctx, err), op, id)
}

// GetVersion returns one version of the credential, or fails with
// ErrNotSupported if the backend keeps none.
func (s *Store) GetVersion(ctx context.Context, id ID, v Version) (Credential, error) {
	const op = "retrieve_version"
	name, scope, err := s.prepare(ctx, id)
	if err != nil {
		return Credential{}, s.locate(err, op, id)
	}
	r, ok := As[VersionRetriever](s.provider)
	if !ok {
		return Credential{}, s.lacks(op, id, "reading a version")
	}
	keyring := s.prefetchKeyring(ctx)
	defer keyring.cancel()
	record, err := r.RetrieveVersion(ctx, name, v)
	if KindOf(err) == ErrNotFound {
		if missing := s.wantPrefetched(ctx, keyring); missing != nil {
			err = missing
		}
	}
	if err == nil && scope != "" && record.Envelope.metadata.Scope != scope {
		err = notFound()
	}
	if err != nil {
		return Credential{}, s.locate(err, op, id)
	}
	c, err := s.open(ctx, name, record, keyring, anyRecord)
	return c, s.locate(err, op, id)
}
