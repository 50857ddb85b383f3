package nebula

import (
	"context"
	"errors"
	"maps"
)

// PutOptions goes with [Store.Put]. The zero value stores the value, and keeps
// creation time, author, scope, tags and rotation of an existing credential.
type PutOptions struct {
	// Tags are added to the existing ones, and replace those with the same key.
	Tags      map[string]string
	ClearTags bool // drop those that are there first

	// RotationPolicy replaces the existing one. nil keeps that.
	RotationPolicy *RotationPolicy

	IfAbsent  bool    // fail with ErrAlreadyExists if there is one
	IfVersion Version // fail with ErrConflict if the version is another

	// Previous is a result of Get. It spares a read of the credential to keep
	// its metadata. If it is no longer the current one, the write fails with
	// ErrConflict.
	Previous *Credential

	// Force writes over a record that cannot be read. Its metadata is lost.
	Force bool

	// Created, if it is not nil, is set to true if the credential is new, and
	// else to false.
	Created *bool
}

// Put stores a value and returns the new version. If there is a credential, Put
// reads it first, and writes on condition that it is still the same. So two
// writers at once do not lose each other's tags.
//
// Errors: ErrAlreadyExists and ErrConflict if a condition of the options does
// not hold; ErrTooLarge; ErrInvalidMetadata; ErrNotFound if the store has no
// keyring yet ([ErrNotInitialised]); ErrCorrupted and the like if the existing
// record cannot be read.
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
// value, and writes it on condition that nobody else did. If somebody did, it
// begins again, unless the caller set a condition. If there is no credential,
// edit gets one without a version.
func (s *Store) update(ctx context.Context, op string, id ID, options PutOptions,
	edit func(*Credential) (Secret, error)) (Version, error) {
	name, scope, err := s.prepare(ctx, id)
	if err != nil {
		return "", s.locate(err, op, id)
	}
	for attempt := newAttempts(); ; {
		v, err := s.tryUpdate(ctx, name, scope, options, edit)
		s.wrote(name, err) // a condition that does not hold says that what is kept is old
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

// asked reports whether the caller set a condition.
func (o *PutOptions) asked() bool { return o.IfAbsent || o.IfVersion != "" }

// errRaced marks a failure of the condition of a write.
var errRaced = errors.New("another writer came first")

// existing is the credential that a write finds.
type existing struct {
	Credential           // no version if there is none that can be read
	envelope   *Envelope // nil if it is not at hand
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
		// The clock may stand still or go back. Later versions stay later.
		now = laterThan(found.Metadata.LastModified, now)
	}
	if options.Created != nil {
		*options.Created = found.Version == "" && found.envelope == nil
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
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrAlreadyExists) {
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

// isUnreadable reports whether err concerns the record, and not the way to it
// or the key.
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

// overUnreadable explains why a write had to read: to keep the metadata.
func overUnreadable(err error) error {
	var e *Error
	if !isUnreadable(err) || !errors.As(err, &e) {
		return err
	}
	refused := *e
	refused.Message = "the credential that is there cannot be read, and its metadata would be lost: " + e.Message
	return &refused
}

// Adopt stores a credential from elsewhere, with the metadata that it has
// there. It does not use its Version.
//
// Errors: those of the precondition; ErrRolledBack, see [AdoptOptions];
// ErrConflict if the credential is of another scope than the store; those of
// [Store.Put].
func (s *Store) Adopt(ctx context.Context, c Credential, options AdoptOptions) (Version, error) {
	const op = "store"
	name, scope, err := s.prepare(ctx, c.ID)
	if err == nil && scope != "" && c.Metadata.Scope != scope {
		err = anotherScope()
	}
	if err != nil {
		return "", s.locate(err, op, c.ID)
	}
	var v Version
	err = s.untilKeyStays(ctx, func() error {
		if err := s.checkAge(ctx, name, c.Metadata.LastModified, options); err != nil {
			return err
		}
		v, err = s.write(ctx, name, c.Secret, c.Metadata.clone(),
			writing{condition: options.Precondition, previous: options.Previous, pre: &prefetch{}, overMark: true})
		return err
	})
	return v, s.locate(err, op, c.ID)
}
