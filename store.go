package nebula

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nebula-credential/nebula/internal/many"
)

// Store gives an application its credentials. It seals them under the user's
// data key, and a [Provider] keeps them. Several goroutines may use it.
//
// Every method checks ids and metadata before the provider is called, and its
// errors are of type [*Error].
type Store struct {
	provider    Provider
	description Description
	options     Options

	ring    atomic.Pointer[heldKeyring]
	loading chan struct{} // held while the keyring is read: 1 of room
	turns   atomic.Uint64 // numbers reads and writes of the keyring
	seen    atomic.Bool   // that there is a keyring, which need not be held

	warnOnce    sync.Once // about pins
	warnFull    sync.Once // about the rollback guard
	warnRetired sync.Once // about the configured key

	cache *cache // nil without one
	late  lateConnect

	sleep func(context.Context, time.Duration) error // tests pass the time
}

// Options goes with [Open].
type Options struct {
	// Keys open the store. They are tried in this order. Listing, Exists and
	// Delete need none.
	Keys []Key

	// DataKeys keep opened data keys between processes, and are asked before
	// the Keys. If it is nil, none are kept.
	DataKeys DataKeys

	// Scope limits the store to one scope. It cannot read credentials of other
	// scopes, and does not write over them. New credentials get this scope. It
	// organises credentials, and is not a security boundary.
	Scope string

	// CreatedBy is written into new credentials. If it is empty, the Caller's
	// owner is written.
	CreatedBy string

	// TrackAccess writes last_accessed on every Get, which makes each read a
	// write. A write that loses a race is dropped.
	TrackAccess bool

	// TrustedKey is the data key that the store must have, now or before it was
	// rotated. It wins over another key that Pins remember. A keyring that is
	// older than the one they remember is refused even so.
	TrustedKey *KeyID

	// StrictKey refuses a keyring that holds TrustedKey only as a retired key.
	// Without it, such a keyring is used, and the Logger gets a warning.
	StrictKey bool

	// Pins remember the data key of each store between processes. If it is nil,
	// nothing is remembered. See [Pins].
	Pins Pins

	// RollbackGuard notices older records that are put back. If it is nil, they
	// are not noticed. Every write, and every first read of a state, writes to
	// it.
	RollbackGuard RollbackGuard

	// FirstKey returns the key with which the first Put makes the keyring of
	// an empty store. Without it, only Init makes one.
	FirstKey func(context.Context) (Key, error)

	// Initialised is called when a Put has made the keyring. If several
	// processes do so at once, it is called in one of them. It may be nil.
	Initialised func()

	// Cache keeps records that were read. The zero value keeps nothing.
	Cache CacheOptions

	// Now is the clock; nil is time.Now.
	Now func() time.Time

	// Logger gets warnings about problems for which no call fails. If it is
	// nil, they are dropped.
	Logger *slog.Logger

	// MaxConcurrency is the greatest number of calls that one operation has
	// under way at the same time, if it needs many. 0 means 8.
	MaxConcurrency int
}

// Credential is a credential that was read and found authentic.
type Credential struct {
	ID       ID
	Secret   Secret
	Version  Version
	Metadata Metadata

	// LastKnown is the time of the read, if the backend is unavailable and
	// [CacheOptions] allow this credential to be returned. Otherwise it is zero.
	// The backend may have a newer version.
	LastKnown time.Time
}

// Open connects the provider, if it is not yet connected, and returns a store
// on it. The keyring is read by the first operation that needs a key.
//
// If the backend is unavailable and Options.Cache has a directory, the store is
// opened without it, and the first operation that can connects it.
func Open(ctx context.Context, p Provider, options Options) (*Store, error) {
	s := &Store{
		provider:    p,
		description: describeProvider(p),
		options:     options,
		loading:     make(chan struct{}, 1),
		sleep:       sleep,
	}
	if s.options.Now == nil {
		s.options.Now = time.Now
	}
	if s.options.Logger == nil {
		s.options.Logger = slog.New(slog.DiscardHandler)
	}
	if s.options.MaxConcurrency == 0 {
		s.options.MaxConcurrency = many.DefaultJobs
	}
	if reason := invalidText(options.Scope); reason != "" {
		return nil, &Error{Kind: ErrInvalidConfig, Op: "open", Message: "the scope " + reason}
	}
	if reason := invalidText(options.CreatedBy); reason != "" {
		return nil, &Error{Kind: ErrInvalidConfig, Op: "open", Message: "created_by " + reason}
	}
	if reason := options.Cache.validate(options.TrackAccess); reason != "" {
		return nil, &Error{Kind: ErrInvalidConfig, Op: "open", Message: reason}
	}
	if err := s.connect(ctx); err != nil {
		return nil, s.locate(err, "connect", "")
	}
	if s.cache = newCache(options.Cache); s.cache != nil {
		s.cache.files = newCacheFiles(s.cache.options, s.address())
		if s.late.pending.Load() {
			s.cache.down(s.options.Now())
		}
	}
	return s, nil
}

// Close closes the provider.
func (s *Store) Close() error {
	s.cache.close()
	if c, ok := As[Connector](s.provider); ok {
		return s.locate(c.Close(), "close", "")
	}
	return nil
}

// Describe describes the store's provider.
func (s *Store) Describe() Description { return s.description }

// Get returns the current credential.
//
// Errors: ErrNotFound, which wraps [ErrNotInitialised] if there is no store
// either; ErrCorrupted if the record is damaged, edited or swapped, or if a
// known store is not there; ErrWrongKey; ErrUnsupportedVersion;
// ErrUnauthenticated if no key is at hand.
func (s *Store) Get(ctx context.Context, id ID) (Credential, error) {
	const op = "retrieve"
	name, err := id.Name()
	if err != nil {
		return Credential{}, s.locate(err, op, id)
	}
	if s.cache != nil {
		c, err := s.getCached(ctx, name)
		return c, s.locate(err, op, id)
	}
	c, e, err := s.get(ctx, name)
	if err != nil {
		return Credential{}, s.locate(err, op, id)
	}
	if s.options.TrackAccess {
		s.noteAccess(ctx, name, &c, e)
	}
	return c, nil
}

func (s *Store) get(ctx context.Context, name Name) (Credential, *Envelope, error) {
	scope, err := s.scope(ctx)
	if err != nil {
		return Credential{}, nil, err
	}
	// In a new process both are fetched at once, so that one credential costs
	// one round trip.
	keyring := s.prefetchKeyring(ctx)
	defer keyring.cancel()
	c, r, err := s.retrieve(ctx, name, keyring, inScopeOnly(scope))
	if r.Envelope == nil && KindOf(err) == ErrNotFound {
		if missing := s.wantPrefetched(ctx, keyring); missing != nil {
			err = mark(missing, errAbsent)
		}
	}
	return c, r.Envelope, err
}

// inScopeOnly accepts the records of a scope. "" means any scope.
func inScopeOnly(scope string) func(Record) error {
	return func(r Record) error {
		if scope != "" && r.Envelope.metadata.Scope != scope {
			return notFound()
		}
		return nil
	}
}

// Exists reports whether there is such a credential, readable or not. If
// there is no store either, it fails as Get does.
func (s *Store) Exists(ctx context.Context, id ID) (bool, error) {
	const op = "exists"
	name, scope, err := s.prepare(ctx, id)
	if err != nil {
		return false, s.locate(err, op, id)
	}
	var found bool
	if scope == "" {
		found, err = s.provider.Exists(ctx, name)
	} else {
		found, err = s.inScope(ctx, name, scope)
	}
	if err == nil && !found {
		err = s.wantStore(ctx)
	}
	return found, s.locate(err, op, id)
}

// DeleteOptions goes with [Store.Delete].
type DeleteOptions struct {
	// IfVersion is a condition: if the current version is another one, Delete
	// fails with ErrConflict. "" deletes any version.
	IfVersion Version
}

// Delete removes the credential and reports whether there was one. It succeeds
// if there was none, and fails as Get does if there is no store. Backends with a
// soft delete can bring it back, see [Store.Restore].
func (s *Store) Delete(ctx context.Context, id ID, options DeleteOptions) (existed bool, err error) {
	return s.remove(ctx, "delete", id, func(ctx context.Context, name Name) (bool, error) {
		return s.provider.Delete(ctx, name, IfVersion(options.IfVersion))
	})
}

// Purge removes the credential for good, live or deleted, and returns when
// nothing of it can be read or restored and the id is free. It reports whether
// there was anything.
//
// In a store with a scope it fails with ErrNotSupported for a credential that
// is deleted and could be restored, because its scope is not known.
func (s *Store) Purge(ctx context.Context, id ID) (existed bool, err error) {
	const op = "purge"
	p, ok := As[Purger](s.provider)
	if !ok {
		// If the backend keeps nothing of a deleted credential, deleting is
		// purging.
		return s.remove(ctx, op, id, func(ctx context.Context, name Name) (bool, error) {
			return s.provider.Delete(ctx, name, Precondition{})
		})
	}
	name, scope, err := s.prepare(ctx, id)
	if err == nil && scope != "" {
		var found bool
		if found, err = s.provider.Exists(ctx, name); err == nil && !found {
			err = &Error{Kind: ErrNotSupported, Message: "there is none that is live, and the scope of a deleted one cannot be told",
				Hint: "purge it from a store that has no scope"}
		}
	}
	if err != nil {
		return false, s.locate(err, op, id)
	}
	return s.remove(ctx, op, id, p.Purge)
}

func (s *Store) remove(ctx context.Context, op string, id ID, remove func(context.Context, Name) (bool, error)) (bool, error) {
	name, scope, err := s.prepare(ctx, id)
	if err != nil {
		return false, s.locate(err, op, id)
	}
	if scope != "" {
		mine, err := s.inScope(ctx, name, scope)
		if err == nil && !mine {
			err = s.wantStore(ctx)
		}
		if err != nil || !mine {
			return false, s.locate(err, op, id)
		}
	}
	acknowledged := s.beginDeletion(name)
	existed, err := remove(ctx, name)
	s.wrote(name, err)
	if err == nil {
		acknowledged()
	}
	if missed := err == nil && !existed || KindOf(err) == ErrConflict; missed {
		if missing := s.wantStore(ctx); missing != nil {
			err = missing
		}
	}
	return existed, s.locate(err, op, id)
}

// Check examines the provider and the keyring. It changes nothing.
func (s *Store) Check(ctx context.Context) []Finding {
	var findings []Finding
	if c, ok := As[Checker](s.provider); ok {
		findings = c.Check(ctx)
	}
	return append(findings, s.checkKeyring(ctx))
}

// prepare checks what every operation on one credential needs.
func (s *Store) prepare(ctx context.Context, id ID) (Name, string, error) {
	name, err := id.Name()
	if err != nil {
		return Name{}, "", err
	}
	scope, err := s.scope(ctx)
	return name, scope, err
}

// scope returns the scope that holds for a request. Every operation on
// credentials calls it before it calls the provider.
func (s *Store) scope(ctx context.Context) (string, error) {
	if err := s.connectLate(ctx); err != nil {
		return "", err
	}
	return s.requestedScope(ctx)
}

// requestedScope is the store's scope, or the Caller's if the store has none.
func (s *Store) requestedScope(ctx context.Context) (string, error) {
	own, asked := s.options.Scope, CallerFrom(ctx).Scope
	if own != "" && asked != "" && own != asked {
		return "", &Error{Kind: ErrPermissionDenied,
			Message: "the caller's scope is " + quoteID(asked) + ", the store was opened for " + quoteID(own)}
	}
	if own != "" {
		return own, nil
	}
	if reason := invalidText(asked); reason != "" {
		return "", &Error{Kind: ErrInvalidMetadata, Message: "the caller's scope " + reason}
	}
	return asked, nil
}

// inScope reports whether there is a credential and it is of the scope. The
// record is read, not opened: no key is needed.
func (s *Store) inScope(ctx context.Context, name Name, scope string) (bool, error) {
	record, err := s.provider.Retrieve(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return record.Envelope.metadata.Scope == scope, nil
}

func (s *Store) locate(err error, op string, id ID) error {
	return locate(err, op, s.description.Provider, id)
}

func (s *Store) lacks(op string, id ID, ability string) error {
	return s.locate(&Error{Kind: ErrNotSupported,
		Message: ability + " is not supported by the provider " + s.description.Provider}, op, id)
}

func notFound() error { return &Error{Kind: ErrNotFound, Message: "there is no such credential"} }
