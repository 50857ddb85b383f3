package nebula

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/nebula-credential/nebula/internal/canon"
)

// outage is the state of a backend that is unavailable.
type outage struct {
	since  time.Time // zero: it is not
	asked  time.Time // when it was asked last
	asking bool      // whether it is being asked again, in the background
	told   bool      // whether that is logged
}

// isOutage reports whether the backend could not be asked.
func isOutage(err error) bool {
	kind := KindOf(err)
	return (kind == ErrUnavailable || kind == ErrTimeout) && !errors.Is(err, errAbsent)
}

// errAbsent marks failures to find out whether there is a store at all, after the
// backend has said that there is no such credential.
var errAbsent = errors.New("there is no such credential")

// errNotKept says that there is nothing to return.
var errNotKept = errors.New("nothing is kept")

// readOrKnown notes the result of a read of the backend, and returns that, or the last
// known record.
func (s *Store) readOrKnown(ctx context.Context, r reading, scope string, c Credential, e *Envelope, err error) (Credential, error) {
	s.noteRead(ctx, r, c.Version, e, err)
	if !isOutage(err) || s.cache.options.LastKnown == 0 {
		return c, err
	}
	known, why := s.lastKnown(ctx, r.name, scope)
	switch {
	case why == nil:
		return known, nil
	case errors.Is(why, errNotKept), KindOf(why) == ErrNotFound:
		return Credential{}, err
	}
	return Credential{}, explainRefusal(err, why)
}

// explainRefusal adds to the failure of the backend why a copy did not help. Its
// kind stays, because the call may succeed later.
func explainRefusal(err, why error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	refused := *e
	refused.Message = messageOf(err) + "; its last known value is not used: " + messageOf(why)
	refused.Hint = cmp.Or(hintOf(why), e.Hint)
	refused.Err = errors.Join(e.Err, why)
	return &refused
}

// noteRead notes the result of a read of the backend. Every answer of the backend
// replaces what is kept. That it is unavailable is not an answer.
func (s *Store) noteRead(ctx context.Context, r reading, v Version, e *Envelope, err error) {
	switch kind := KindOf(err); {
	case kind == ErrInterrupted, kind == ErrClosed:
		return
	case err == nil:
		s.keepRead(r, Record{Envelope: e, Version: v})
	case isOutage(err) && ctx.Err() != nil: // the caller's own deadline says little
		s.askBackend(ctx, r.name)
		return
	case isOutage(err):
		s.cache.down(s.options.Now())
		return
	case kind == ErrNotFound && e != nil: // it is there, in another scope
	default:
		s.dropKept(r.name)
	}
	if since := s.cache.answered(); !since.IsZero() {
		s.options.Logger.Info("the backend answers again", "unavailable_for", s.options.Now().Sub(since).String())
	}
}

func (c *cache) isDown() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.outage.since.IsZero()
}

func (c *cache) down(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.outage.since.IsZero() {
		c.outage.since = now
	}
	c.outage.asked = now
}

// answered ends an outage, and returns when it began if that was logged.
func (c *cache) answered() (since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.outage.told {
		since = c.outage.since
	}
	c.outage.since, c.outage.told = time.Time{}, false
	return since
}

// askBackend reads a credential in the background, so that no caller waits for a
// backend that is unavailable: one read at a time, and one a second.
func (s *Store) askBackend(ctx context.Context, name Name) {
	c := s.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.options.LastKnown == 0 || c.outage.asking || c.ending.Err() != nil || s.since(c.outage.asked) < askBackendGap {
		return
	}
	c.outage.asking = true
	c.asking.Add(1)
	go func() {
		defer c.asking.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askBackendTimeout)
		defer cancel()
		defer context.AfterFunc(c.ending, cancel)()
		r := s.beginReads(name)[0]
		found, e, err := s.get(ctx, name)
		found.Secret.Wipe()
		if isOutage(err) {
			c.down(s.options.Now())
		} else {
			s.noteRead(ctx, r, found.Version, e, err)
		}
		c.mu.Lock()
		c.outage.asking, c.outage.asked = false, s.options.Now()
		c.mu.Unlock()
	}()
}

// lastKnown returns the last record that was read of a credential, from memory
// or disk. The error says why there is none, or why it may not be used.
func (s *Store) lastKnown(ctx context.Context, name Name, scope string) (Credential, error) {
	if s.cache.options.LastKnown == 0 {
		return Credential{}, errNotKept
	}
	c, err := s.openLastKnown(ctx, name, scope)
	switch {
	case err == nil:
		s.cache.lastKnown.Add(1)
		s.tellOutage(c.LastKnown)
	case !errors.Is(err, errNotKept) && KindOf(err) != ErrNotFound:
		s.cache.refused.Add(1)
	}
	return c, err
}

func (s *Store) openLastKnown(ctx context.Context, name Name, scope string) (Credential, error) {
	k, found := s.cache.find(name)
	r := s.beginReads(name)[0]
	var mac [32]byte
	if !found {
		var err error
		if k, mac, err = s.cache.files.read(name); err != nil {
			return Credential{}, noCopy(err)
		}
	}
	if err := s.checkKeptAge(k.at); err != nil {
		return Credential{}, err
	}
	ring, err := s.keptKeyring(ctx)
	if err != nil {
		return Credential{}, err
	}
	if !found {
		key := ring.keyByID(k.record.Envelope.KeyID())
		if key == nil {
			return Credential{}, ring.whyUnknown(name, k.record.Envelope)
		}
		if want := s.copyMAC(k, key); subtle.ConstantTimeCompare(want[:], mac[:]) != 1 {
			return Credential{}, damagedCopy(nil)
		}
	}
	c, err := s.openKeptRecord(ctx, k, ring, scope)
	if err != nil {
		return Credential{}, err
	}
	if !found {
		s.cache.put(r, k)
	}
	c.LastKnown = k.at
	return c, nil
}

// noCopy tells a missing file from a damaged one.
func noCopy(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errNotKept
	}
	return err
}

func (s *Store) checkKeptAge(at time.Time) error {
	limit := s.cache.options.LastKnown
	switch age := s.since(at); {
	case age > limit:
		return &Error{Kind: ErrUnavailable, Message: fmt.Sprintf("it was read at %s, which is more than %v ago", canon.AppendTime(nil, at.UTC()), limit)}
	case age < -maxCacheClockSkew:
		return &Error{Kind: ErrUnavailable, Message: fmt.Sprintf("it was read at %s, which is later than the clock of this machine", canon.AppendTime(nil, at.UTC()))}
	}
	return nil
}

// keptKeyring returns the keyring that is held, or the one on disk. The latter
// may be old, so it opens only kept records.
func (s *Store) keptKeyring(ctx context.Context) (*keyring, error) {
	if held := s.ring.Load(); held != nil {
		return held.keyring, nil
	}
	if ring := s.cache.ring.Load(); ring != nil {
		return ring, nil
	}
	select {
	case s.loading <- struct{}{}:
		defer func() { <-s.loading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if ring := s.cache.ring.Load(); ring != nil {
		return ring, nil
	}
	ring, err := s.openKeptKeyring(ctx)
	if err != nil {
		return nil, aboutKeyring(err)
	}
	s.cache.ring.Store(ring)
	return ring, nil
}

// openKeptKeyring opens the keyring on disk, if its data key is known.
func (s *Store) openKeptKeyring(ctx context.Context) (*keyring, error) {
	k, mac, err := s.cache.files.read(KeyringName())
	if err != nil {
		return nil, noCopy(err)
	}
	if !s.knowsKey() {
		return nil, &Error{Kind: ErrUntrustedKey, Message: "nothing says which data key the store has, so a copy of its keyring is not trusted",
			Hint: "name its key with id in [key], or NEBULA_KEY_ID"}
	}
	ring, err := s.openRecord(ctx, k.record)
	if err != nil {
		return nil, err
	}
	if want := s.copyMAC(k, ring.current); subtle.ConstantTimeCompare(want[:], mac[:]) != 1 {
		return nil, damagedKeyring("its copy was edited, or is of another store", nil)
	}
	if err := s.checkTrust(ring); err != nil {
		return nil, &Error{Kind: KindOf(err), Err: err, Message: "the copy of the keyring is older than what was seen of the store since, or is of another one"}
	}
	return ring, nil
}

func (s *Store) tellOutage(at time.Time) {
	s.cache.mu.Lock()
	tell := !s.cache.outage.told
	s.cache.outage.told = true
	s.cache.mu.Unlock()
	if tell {
		s.options.Logger.Warn("the backend is unavailable: credentials are returned as they were last read",
			"provider", s.description.Provider, "read_at", at.UTC().Format(time.RFC3339))
	}
}
