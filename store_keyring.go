package nebula

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/nebula-credential/nebula/internal/seal"
)

// keyringAge is how old a keyring may be that a writer seals with: after a
// rotation of the data key, no writer uses the old one for longer.
const keyringAge = 60 * time.Second

// heldKeyring is a keyring and when it was last known to be current.
type heldKeyring struct {
	*keyring
	at time.Time
}

// KeyInfo describes a store's keyring.
type KeyInfo struct {
	ID           KeyID // of the data key
	Slots        []Slot
	CreatedAt    time.Time
	LastModified time.Time

	// Authentic is false where no key was at hand or none fitted, as Problem
	// says: then the slots are what the backend shows, and Generation is 0.
	Authentic  bool
	Problem    error
	Generation uint64  // writes of the keyring so far
	Retired    []KeyID // data keys that were replaced and are kept, newest first
	Rotating   bool    // records may still be under the first of them
}

// Init makes the store's data key and wraps it for key. The store must have
// neither a keyring (ErrAlreadyExists) nor records (ErrCorrupted: their
// keyring is missing, and a new one would not open them).
func (s *Store) Init(ctx context.Context, key Key) (KeyID, error) {
	ring, err := s.initialise(ctx, key)
	if err != nil {
		return KeyID{}, s.locate(err, "init", "")
	}
	return KeyID(ring.current.ID()), nil
}

func (s *Store) initialise(ctx context.Context, key Key) (*keyring, error) {
	found, err := s.provider.Exists(ctx, KeyringName())
	if err != nil {
		return nil, err
	}
	if found {
		return nil, alreadyInitialised(nil)
	}
	if err := errors.Join(s.wantNoPin(), s.wantNoRecords(ctx)); err != nil {
		return nil, err
	}
	now := s.now()
	ring := &keyring{createdAt: now, current: seal.GenerateKey(), generation: 1}
	slot, err := ring.wrapFor(ctx, key)
	if err != nil {
		return nil, err
	}
	ring.slots = []slotRecord{slot}
	ring.version, err = s.provider.Store(ctx, KeyringName(), ring.seal(now), StoreOptions{Precondition: IfAbsent()})
	if errors.Is(err, ErrAlreadyExists) {
		return nil, alreadyInitialised(err)
	}
	if err != nil {
		return nil, err
	}
	s.hold(ring)
	return ring, s.remember(ring)
}

func alreadyInitialised(cause error) error {
	return &Error{Kind: ErrAlreadyExists, Message: "the store is initialised already", Err: cause,
		Hint: "another key or passphrase is added with: nebula key add"}
}

func notInitialised(cause error) error {
	return &Error{Kind: ErrNotFound, Message: "the store has no keyring yet", Hint: "make one with: nebula init",
		Err: errors.Join(ErrNotInitialised, cause)}
}

// recordsWithoutKeyring is not the same as an empty store: making a new
// keyring would hide that one was lost.
func recordsWithoutKeyring(cause error) error {
	return &Error{Kind: ErrCorrupted, Message: "the store has credentials and no keyring", Err: cause,
		Hint: "restore the keyring from a backup; without it they cannot be read"}
}

func (s *Store) wantNoRecords(ctx context.Context) error {
	pager := s.provider.List(ctx, Filter{})
	defer pager.Close()
	for {
		entries, err := pager.NextPage(ctx)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case len(entries) > 0:
			return recordsWithoutKeyring(nil)
		}
	}
}

// Keys describes the keyring. Where it cannot be opened, because no key is at
// hand or none fits, it says what the backend shows.
func (s *Store) Keys(ctx context.Context) (KeyInfo, error) {
	const op = "list keys"
	record, err := s.retrieveKeyring(ctx)
	if err != nil {
		return KeyInfo{}, s.locate(err, op, "")
	}
	e := record.Envelope
	info := KeyInfo{ID: e.KeyID(), CreatedAt: e.metadata.CreatedAt, LastModified: e.metadata.LastModified}
	for _, slot := range e.slots.slots {
		info.Slots = append(info.Slots, slot.Slot)
	}
	ring, err := s.openTrusted(ctx, record)
	switch {
	case err == nil:
		info.Authentic, info.Generation, info.Rotating = true, ring.generation, ring.rotating
		for _, key := range ring.retired {
			info.Retired = append(info.Retired, KeyID(key.ID()))
		}
	case errors.Is(err, ErrUnauthenticated), errors.Is(err, ErrWrongKey):
		info.Problem = s.locate(err, op, "")
	default:
		return KeyInfo{}, s.locate(err, op, "")
	}
	return info, nil
}

// Unlock reads and opens the keyring, so that what is wrong with the keys at
// hand shows now. Every operation that needs a key does so by itself.
func (s *Store) Unlock(ctx context.Context) error {
	_, err := s.keyring(ctx, &prefetch{})
	return s.locate(err, "open the keyring", "")
}

// AddKey makes one more slot, so that key opens the store too.
func (s *Store) AddKey(ctx context.Context, key Key) (Slot, error) {
	var added slotRecord
	err := s.changeKeyring(ctx, func(ring *keyring) (err error) {
		added, err = ring.wrapFor(ctx, key)
		ring.slots = append(slices.Clip(ring.slots), added)
		return err
	})
	return added.Slot, s.locate(err, "add a key", "")
}

// RemoveKey removes a slot. It does not revoke: whoever has an old copy of the
// keyring and the slot's key can still take the data key from it, until the
// data key itself is replaced. The last slot cannot be removed.
func (s *Store) RemoveKey(ctx context.Context, slotID string) error {
	err := s.changeKeyring(ctx, func(ring *keyring) error {
		rest := slices.DeleteFunc(slices.Clone(ring.slots), func(r slotRecord) bool { return r.ID == slotID })
		switch {
		case len(rest) == len(ring.slots):
			return &Error{Kind: ErrNotFound, Message: "the keyring has no slot " + quoteID(slotID),
				Hint: "they are shown by: nebula key list"}
		case len(rest) == 0:
			return &Error{Kind: ErrUsage, Message: "the last slot cannot be removed: nothing would open the store",
				Hint: "add another one first: nebula key add"}
		}
		ring.slots = rest
		return nil
	})
	return s.locate(err, "remove a key", "")
}

// errUnchanged says that another process has done already what was to be done.
var errUnchanged = errors.New("nothing to change")

// changeKeyring reads the keyring, changes the authenticated list of slots and
// writes it, again where another writer came between.
func (s *Store) changeKeyring(ctx context.Context, change func(*keyring) error) error {
	for attempt := newAttempts(); ; {
		ring, err := s.reloadKeyring(ctx)
		if err != nil {
			return err
		}
		if ring.generation == maxGeneration {
			// One more could be written, and never be read again.
			return &Error{Kind: ErrUsage, Message: "the keyring's generation is the greatest that there can be"}
		}
		changed := *ring
		changed.generation++
		if err := change(&changed); err != nil {
			if err == errUnchanged {
				return nil
			}
			return err
		}
		changed.version, err = s.provider.Store(ctx, KeyringName(), changed.seal(s.now()),
			StoreOptions{Precondition: IfVersion(ring.version)})
		if err == nil {
			s.hold(&changed)
			return s.remember(&changed)
		}
		if !errors.Is(err, ErrConflict) || !attempt.next(ctx) {
			return err
		}
	}
}

// prefetch is a read of the keyring's record that may be under way.
type prefetch struct {
	done   chan struct{} // nil where nothing was begun
	taken  bool
	stop   context.CancelFunc
	record Record
	err    error
}

// prefetchKeyring begins to read the keyring's record, if none is held.
func (s *Store) prefetchKeyring(ctx context.Context) *prefetch {
	if s.ring.Load() != nil || len(s.options.Keys) == 0 {
		return &prefetch{}
	}
	ctx, stop := context.WithCancel(ctx)
	p := &prefetch{done: make(chan struct{}), stop: stop}
	go func() {
		defer close(p.done)
		p.record, p.err = s.retrieveKeyring(ctx)
	}()
	return p
}

// cancel ends the read and waits for it: the provider may be closed next.
func (p *prefetch) cancel() {
	if p.done != nil {
		p.stop()
		<-p.done
	}
}

// keyring returns the keyring, which is read and opened if none is held.
func (s *Store) keyring(ctx context.Context, pre *prefetch) (*keyring, error) {
	if held := s.ring.Load(); held != nil {
		return held.keyring, nil
	}
	return s.loadKeyring(ctx, pre)
}

// freshKeyring is keyring for writers: what it returns is at most keyringAge old.
func (s *Store) freshKeyring(ctx context.Context, pre *prefetch) (*keyring, error) {
	if held := s.ring.Load(); held != nil && s.options.Now().Sub(held.at) < keyringAge {
		return held.keyring, nil
	}
	return s.loadKeyring(ctx, pre)
}

// reloadKeyring reads the keyring anew. It is opened only if it has changed.
func (s *Store) reloadKeyring(ctx context.Context) (*keyring, error) {
	return s.loadKeyring(ctx, &prefetch{})
}

// loadKeyring takes the record that was prefetched, or reads it, and opens it.
// One goroutine at a time does so, and asks a person for the passphrase; the
// others then find that nothing has changed.
func (s *Store) loadKeyring(ctx context.Context, pre *prefetch) (*keyring, error) {
	select {
	case s.loading <- struct{}{}:
		defer func() { <-s.loading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	record, err := pre.take(ctx, s.retrieveKeyring)
	if err != nil {
		return nil, err
	}
	var ring *keyring
	if held := s.ring.Load(); held != nil && held.version == record.Version {
		ring = held.keyring
	} else if ring, err = s.openTrusted(ctx, record); err != nil {
		return nil, err
	}
	s.hold(ring)
	return ring, nil
}

// openTrusted opens a keyring's record and holds it against the pin. Between
// the two another process may have written a newer one, and remembered that:
// then the newer one is what counts.
func (s *Store) openTrusted(ctx context.Context, record Record) (*keyring, error) {
	for {
		ring, err := openKeyring(ctx, record, s.options.Keys)
		if err != nil {
			return nil, err
		}
		distrust := s.checkTrust(ring)
		if distrust == nil {
			return ring, nil
		}
		newer, err := s.retrieveKeyring(ctx)
		if err != nil || newer.Version == record.Version {
			return nil, distrust
		}
		record = newer
	}
}

// take returns what was prefetched, once, or else what retrieve returns.
func (p *prefetch) take(ctx context.Context, retrieve func(context.Context) (Record, error)) (Record, error) {
	if p.done == nil || p.taken {
		return retrieve(ctx)
	}
	<-p.done
	p.taken = true
	return p.record, p.err
}

func (s *Store) retrieveKeyring(ctx context.Context) (Record, error) {
	record, err := s.provider.Retrieve(ctx, KeyringName())
	if errors.Is(err, ErrNotFound) {
		if err := s.wantNoPin(); err != nil {
			return Record{}, err
		}
		return Record{}, notInitialised(err)
	}
	return record, err
}

func (s *Store) hold(ring *keyring) {
	s.ring.Store(&heldKeyring{ring, s.options.Now()})
}

func (s *Store) checkKeyring(ctx context.Context) Finding {
	finding := Finding{Check: "keyring", Severity: SeverityOK}
	ring, err := s.reloadKeyring(ctx)
	var e *Error
	switch {
	case err == nil:
		finding.Message = "opens; the data key is " + KeyID(ring.current.ID()).String()
	case errors.Is(err, ErrNotInitialised):
		finding.Severity, finding.Message, finding.Fix = SeverityWarning, "there is none yet", "nebula init"
	default:
		finding.Severity, finding.Message, finding.Kind = SeverityError, err.Error(), KindOf(err)
		if errors.As(err, &e) {
			finding.Fix = e.Hint
		}
	}
	return finding
}
