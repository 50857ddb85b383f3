package nebula

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"time"
)

// PutOptions goes with [Store.Put]. The zero value stores the value and keeps
// creation time, author, scope, tags and rotation of a credential that is there.
type PutOptions struct {
	// Tags are added to those that are there, or take their place.
	Tags      map[string]string
	ClearTags bool // drop those that are there first

	// RotationPolicy takes the place of the one that is there; nil keeps it.
	RotationPolicy *RotationPolicy

	IfAbsent  bool    // fail with ErrAlreadyExists where there is one
	IfVersion Version // fail with ErrConflict where the version is another

	// Previous is what Get returned: it spares reading the credential again to
	// keep its metadata, and the write fails with ErrConflict if it is no
	// longer the current one.
	Previous *Credential

	// Force writes over a record that cannot be read, whose metadata is lost.
	Force bool
}

// Put stores a value and returns the new version. A credential that is there
// is read first, and written on condition that it is still the same: of two
// writers at once, none loses the other's tags.
//
// Errors: ErrAlreadyExists and ErrConflict as asked for by options;
// ErrTooLarge; ErrInvalidMetadata; ErrNotFound where the store has no keyring
// yet ([ErrNotInitialised]); ErrCorrupted and the like where the record that
// is there cannot be read.
func (s *Store) Put(ctx context.Context, id ID, secret Secret, options PutOptions) (Version, error) {
	for key, value := range options.Tags {
		if err := ValidateTag(key, value); err != nil {
			return "", s.locate(err, "store", id)
		}
	}
	if options.IfAbsent && (options.IfVersion != "" || options.Previous != nil) {
		return "", s.locate(&Error{Kind: ErrUsage, Message: "if-absent and if-version exclude each other"}, "store", id)
	}
	if p := options.Previous; p != nil {
		if p.Version == "" || p.ID != id {
			return "", s.locate(&Error{Kind: ErrUsage, Message: "the previous credential is not one that was read under this id"}, "store", id)
		}
		if options.IfVersion == "" {
			options.IfVersion = p.Version
		}
	}
	return s.update(ctx, "store", id, options, func(found *Credential) (Secret, error) {
		m := &found.Metadata
		if options.ClearTags {
			m.Tags = nil
		}
		setTags(m, options.Tags, nil)
		if options.RotationPolicy != nil {
			m.RotationPolicy = *options.RotationPolicy
		}
		return secret, nil
	})
}

// Tag sets and removes tags and returns the new version. The value stays.
func (s *Store) Tag(ctx context.Context, id ID, set map[string]string, remove []string) (Version, error) {
	const op = "tag"
	for key, value := range set {
		if err := ValidateTag(key, value); err != nil {
			return "", s.locate(err, op, id)
		}
	}
	return s.update(ctx, op, id, PutOptions{}, func(found *Credential) (Secret, error) {
		if found.Version == "" {
			return Secret{}, notFound()
		}
		setTags(&found.Metadata, set, remove)
		return found.Secret, nil
	})
}

func setTags(m *Metadata, set map[string]string, remove []string) {
	if m.Tags == nil {
		m.Tags = make(map[string]string)
	}
	maps.Copy(m.Tags, set)
	for _, key := range remove {
		delete(m.Tags, key)
	}
}

// update reads the credential, lets edit change its metadata and choose the
// value, and writes it on condition that nobody else did. Where somebody did,
// it begins again, unless the caller asked for a condition. What edit gets has
// no version where there is no credential.
func (s *Store) update(ctx context.Context, op string, id ID, options PutOptions,
	edit func(*Credential) (Secret, error)) (Version, error) {
	name, scope, err := s.prepare(ctx, id)
	if err != nil {
		return "", s.locate(err, op, id)
	}
	for attempt := newAttempts(); ; {
		v, err := s.tryUpdate(ctx, name, scope, options, edit)
		switch {
		case err == nil:
			return v, nil
		case errors.Is(err, ErrKeyChanged):
			if _, err := s.reloadKeyring(ctx); err != nil {
				return "", s.locate(err, op, id)
			}
		case options.asked() || !errors.Is(err, errRaced):
			return "", s.locate(s.explainAbsence(ctx, err), op, id)
		}
		if err := attempt.next(ctx, err); err != nil {
			return "", s.locate(err, op, id)
		}
	}
}

// asked reports whether the caller asked for a condition.
func (o *PutOptions) asked() bool { return o.IfAbsent || o.IfVersion != "" }

// errRaced marks a failure of a condition that the caller did not ask for.
var errRaced = errors.New("another writer came first")

// existing is the credential that a write finds.
type existing struct {
	Credential           // no version where there is none that can be read
	envelope   *Envelope // nil where it is not at hand
	condition  Precondition
}

func (s *Store) tryUpdate(ctx context.Context, name Name, scope string, options PutOptions,
	edit func(*Credential) (Secret, error)) (Version, error) {
	// A new process fetches the keyring while it reads the record.
	pre := s.prefetchKeyring(ctx)
	defer pre.cancel()
	found, err := s.before(ctx, name, scope, options, pre)
	if err != nil {
		return "", err
	}
	if options.Previous == nil {
		defer found.Secret.Wipe()
	}
	now := s.now()
	if found.Version == "" {
		found.Metadata = Metadata{CreatedAt: now, CreatedBy: s.author(ctx), Scope: scope}
	} else {
		// The clock may stand, or go back: later versions stay later.
		now = laterThan(found.Metadata.LastModified, now)
	}
	secret, err := edit(&found.Credential)
	if err != nil {
		return "", err
	}
	if found.Metadata.LastModified, err = s.afterMark(ctx, now, name, pre, options.Force); err != nil {
		return "", err
	}
	v, err := s.write(ctx, name, secret, found.Metadata, writing{
		condition: found.condition, previous: found.envelope, pre: pre, overMark: options.Force,
	})
	if err != nil && !options.asked() && (errors.Is(err, ErrConflict) || errors.Is(err, ErrAlreadyExists)) {
		err = mark(err, errRaced)
	}
	return v, err
}

// before returns the credential as it is, and the condition on which it may be
// written over.
func (s *Store) before(ctx context.Context, name Name, scope string, options PutOptions, pre *prefetch) (existing, error) {
	if options.IfAbsent {
		return existing{condition: IfAbsent()}, nil
	}
	ofAnotherScope := func(m Metadata) error {
		if scope == "" || m.Scope == scope {
			return nil
		}
		return &Error{Kind: ErrConflict, Message: "the id is taken by a credential of another scope"}
	}
	asked := IfVersion(options.IfVersion)
	if p := options.Previous; p != nil {
		found := existing{Credential: *p, condition: asked}
		found.Metadata = p.Metadata.clone()
		return found, ofAnotherScope(p.Metadata)
	}
	found, record, err := s.retrieve(ctx, name, pre, func(r Record) error {
		if err := ofAnotherScope(r.Envelope.metadata); err != nil {
			return err
		}
		return asked.Check(r.Version)
	})
	condition := asked
	switch {
	case asked.IsZero() && s.description.NoPreconditions:
	case record.Envelope != nil:
		condition = IfVersion(record.Version)
	case asked.IsZero():
		condition = IfAbsent()
	}
	switch {
	case err == nil:
		return existing{found, record.Envelope, condition}, nil
	case record.Envelope == nil && errors.Is(err, ErrNotFound):
		err := asked.Check("")
		if err != nil {
			if missing := s.wantPrefetched(ctx, pre); missing != nil {
				err = missing
			}
		}
		return existing{condition: condition}, err
	case options.Force && isUnreadable(err) && record.Envelope == nil:
		return existing{condition: asked}, nil // not even its version is known
	case options.Force && isUnreadable(err):
		return existing{envelope: record.Envelope, condition: condition}, nil
	}
	return existing{}, overUnreadable(err)
}

// isUnreadable reports whether err is about the record rather than the way to
// it, or the key.
func isUnreadable(err error) bool {
	if errors.Is(err, errKeyring) {
		return false
	}
	switch KindOf(err) {
	case ErrCorrupted, ErrWrongKey, ErrUnsupportedVersion, ErrTooLarge, ErrRolledBack:
		return true
	}
	return false
}

// overUnreadable says why a write had to read: to keep the metadata.
func overUnreadable(err error) error {
	var e *Error
	if !isUnreadable(err) || !errors.As(err, &e) {
		return err
	}
	refused := *e
	refused.Message = "the credential that is there cannot be read, and its metadata would be lost: " + e.Message
	return &refused
}

// writing is how a record is written.
type writing struct {
	condition Precondition
	previous  *Envelope // the record that is written over, if it is at hand
	pre       *prefetch
	overMark  bool // whatever the rollback guard holds
	access    bool // notes that the credential was read
}

// write seals and stores. A version beside an error says that the record is
// stored.
func (s *Store) write(ctx context.Context, name Name, secret Secret, m Metadata, w writing) (Version, error) {
	if err := m.Validate(); err != nil {
		return "", err
	}
	ring, err := s.writersKeyring(ctx, w.pre)
	if err == nil {
		err = s.checkRoom(name)
	}
	if err != nil {
		return "", err
	}
	e, v, err := s.storeSealed(ctx, name, secret, m, w, ring)
	if err != nil {
		return "", err
	}
	if w.overMark {
		err = s.setMark(name, e, ring.keyring, func(Mark) bool { return false })
	} else {
		v, err = s.passMark(ctx, name, secret, m, w, e, v, ring)
	}
	if err != nil {
		return v, storedUnmarked(err)
	}
	return v, nil
}

func (s *Store) storeSealed(ctx context.Context, name Name, secret Secret, m Metadata, w writing, ring *heldKeyring) (*Envelope, Version, error) {
	e := sealEnvelope(ring.current, name, secret.Reveal(), m, nil)
	if limit := s.description.MaxRecordSize; limit > 0 && len(e.raw) > limit {
		return nil, "", tooLarge(len(e.raw), limit, s.description.Provider)
	}
	ctx, cancel := s.whileKeyHolds(ctx, ring)
	defer cancel()
	v, err := s.provider.Store(ctx, name, e, StoreOptions{Precondition: w.condition, Previous: w.previous})
	return e, v, err
}

// passMark marks a record that was stored. If the mark has moved past its time
// meanwhile (another process put the credential, and deleted it), the record is
// sealed again with a later time, before the write is acknowledged.
func (s *Store) passMark(ctx context.Context, name Name, secret Secret, m Metadata, w writing, e *Envelope, v Version, ring *heldKeyring) (Version, error) {
	for attempt := newAttempts(); ; {
		ahead, err := s.markWritten(name, e, ring.keyring)
		// Noting an access does not change the time of the last change.
		if err != nil || ahead.IsZero() || w.access {
			return v, err
		}
		m.LastModified = laterThan(ahead, s.now())
		again := writing{condition: IfVersion(v), previous: e}
		if s.description.NoPreconditions {
			again.condition = Precondition{}
		}
		later, newest, err := s.storeSealed(ctx, name, secret, m, again, ring)
		switch {
		case err == nil:
			e, v = later, newest
		case errors.Is(err, ErrKeyChanged):
			if ring, err = s.reloadHeld(ctx); err == nil {
				err = attempt.next(ctx, ErrKeyChanged)
			}
		case errors.Is(err, ErrConflict):
			return v, nil // it was stored, and another writer came after it
		}
		if err != nil {
			return v, err
		}
	}
}

func storedUnmarked(err error) error {
	return &Error{Kind: KindOf(err), Err: err, Hint: "put it again, once that is mended",
		Message: "the credential is stored, but the rollback guard does not know it and may refuse it: " + err.Error()}
}

// whileKeyHolds bounds a write: when a rotation looks for the last records under
// the old key, none may come in any more.
func (s *Store) whileKeyHolds(ctx context.Context, ring *heldKeyring) (context.Context, context.CancelFunc) {
	if s.description.ComparesKeyring {
		return ctx, func() {}
	}
	const margin = 5 * time.Second // for an answer that is under way
	return context.WithTimeout(ctx, settleTime-margin-s.age(ring))
}

// writersKeyring returns a fresh keyring, and makes the first one where the
// store may.
func (s *Store) writersKeyring(ctx context.Context, pre *prefetch) (*heldKeyring, error) {
	ring, err := s.freshKeyring(ctx, pre)
	if !errors.Is(err, ErrNotInitialised) {
		return ring, err
	}
	// A key file that is made for a store whose keyring was lost would only
	// add to the confusion.
	if found := s.wantNoRecords(ctx); found != nil {
		return nil, found
	}
	if s.options.FirstKey == nil {
		return nil, err
	}
	key, err := s.options.FirstKey(ctx)
	if err != nil {
		return nil, err
	}
	_, err = s.initialise(ctx, key)
	if err != nil && !errors.Is(err, ErrAlreadyExists) { // another process came first
		return nil, err
	}
	return s.freshKeyring(ctx, &prefetch{})
}

// noteAccess writes last_accessed. The value was just read, and a failure is
// no reason not to return it.
func (s *Store) noteAccess(ctx context.Context, name Name, c *Credential, e *Envelope) {
	m := c.Metadata.clone()
	m.LastAccessed = laterThan(m.LastAccessed, s.now())
	v, _ := s.write(ctx, name, c.Secret, m, writing{condition: IfVersion(c.Version), previous: e, pre: &prefetch{}, access: true})
	if v != "" {
		c.Metadata, c.Version = m, v
	}
}

func (s *Store) author(ctx context.Context) string {
	if s.options.CreatedBy != "" {
		return s.options.CreatedBy
	}
	return CallerFrom(ctx).Owner
}

// now returns the time as records hold it.
func (s *Store) now() time.Time { return s.options.Now().UTC().Truncate(time.Microsecond) }

// attempts paces the repetitions of what others came before.
type attempts struct{ made, max int }

// newAttempts is for writes. Each round of such a race has a winner, so a
// loser's turn comes; the bound is for a backend that reports conflicts without
// end.
func newAttempts() *attempts { return &attempts{max: 100} }

// newRereads is for reads that find what another process has replaced since. The
// bound is for a backend that shows one old state after the other.
func newRereads() *attempts { return &attempts{max: 10} }

// next waits a moment, longer the more often. It returns nil to try again, the
// error that led here when it was too often, or that of the context.
func (a *attempts) next(ctx context.Context, err error) error {
	if a.made++; a.made == a.max {
		return err
	}
	const minWait, maxWait = time.Millisecond, 32 * time.Millisecond
	return sleep(ctx, rand.N(min(maxWait, minWait<<min(a.made, 10))))
}

// Adopt stores a credential that comes from elsewhere, with the metadata that
// it has there, if the store has none of that id. Its Version is not used.
//
// Errors: ErrAlreadyExists; ErrConflict where the credential is of another
// scope than the store; those of [Store.Put].
func (s *Store) Adopt(ctx context.Context, c Credential) (Version, error) {
	const op = "store"
	name, scope, err := s.prepare(ctx, c.ID)
	if err == nil && scope != "" && c.Metadata.Scope != scope {
		err = &Error{Kind: ErrConflict, Message: "the credential is of another scope than the store"}
	}
	if err != nil {
		return "", s.locate(err, op, c.ID)
	}
	for attempt := newAttempts(); ; {
		v, err := s.write(ctx, name, c.Secret, c.Metadata.clone(), writing{condition: IfAbsent(), pre: &prefetch{}, overMark: true})
		if !errors.Is(err, ErrKeyChanged) {
			return v, s.locate(err, op, c.ID)
		}
		if _, err := s.reloadKeyring(ctx); err != nil {
			return "", s.locate(err, op, c.ID)
		}
		if err := attempt.next(ctx, err); err != nil {
			return "", s.locate(err, op, c.ID)
		}
	}
}
