package nebula

import (
	"context"
	"errors"
)

// A missing store is not an empty store: the prefix may be mistyped, or the
// volume not mounted. So if an operation finds nothing, the store looks for the
// keyring, once in a process.

// errNoKeyring marks errors that say that there is no keyring.
var errNoKeyring = errors.New("there is no keyring")

// whyNoKeyring returns an error that says what it means that a store has no
// keyring.
func (s *Store) whyNoKeyring(cause error) error {
	if err := s.wantUnknown(); err != nil {
		return mark(err, errNoKeyring)
	}
	return mark(notInitialised(cause), errNoKeyring)
}

// explainAbsence returns err. If it says that there is no such credential, and
// there is no store either, it returns an error that says so.
func (s *Store) explainAbsence(ctx context.Context, err error) error {
	if KindOf(err) != ErrNotFound || errors.Is(err, errNoKeyring) {
		return err
	}
	if missing := s.wantStore(ctx); missing != nil {
		return missing
	}
	return err
}

// wantStore fails if there is no keyring, or if it cannot find out whether
// there is one. If it may not ask, it concludes nothing.
func (s *Store) wantStore(ctx context.Context) error {
	if s.ring.Load() != nil || s.seen.Load() {
		return nil
	}
	found, err := s.provider.Exists(ctx, KeyringName())
	switch {
	case err == nil && !found, KindOf(err) == ErrNotFound: // not even its mount or namespace
		why := s.whyNoKeyring(err)
		if errors.Is(why, ErrCorrupted) && s.madeSince(ctx) {
			s.seen.Store(true)
			return nil
		}
		return why
	case err == nil:
		s.seen.Store(true)
		return nil
	}
	return inconclusive(err)
}

// madeSince reports whether there is a keyring by now. It is called if a pin
// names a store whose keyring was not found a moment ago: another process may
// have made both in between.
func (s *Store) madeSince(ctx context.Context) bool {
	found, err := s.provider.Exists(ctx, KeyringName())
	return err == nil && found
}

// wantPrefetched is wantStore, by the read of the keyring that is under way.
func (s *Store) wantPrefetched(ctx context.Context, pre *prefetch) error {
	if pre.done == nil || pre.taken {
		return s.wantStore(ctx)
	}
	<-pre.done
	pre.taken = true
	if pre.err == nil {
		s.seen.Store(true)
		return nil
	}
	if errors.Is(pre.err, errNoKeyring) {
		return pre.err
	}
	return inconclusive(pre.err)
}

// inconclusive returns err if it does not show whether there is a keyring. A
// damaged keyring is there. If the caller may not read it, the check is
// skipped.
func inconclusive(err error) error {
	switch KindOf(err) {
	case ErrCorrupted, ErrUnsupportedVersion, ErrTooLarge, ErrPermissionDenied, ErrUnauthenticated:
		return nil
	}
	return err
}
