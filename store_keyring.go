package nebula

import (
	"bytes"
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

// heldKeyring is a keyring and when it was known to be current: the time before
// it was read or written, and the number of that read or write.
type heldKeyring struct {
	*keyring
	at   time.Time
	turn uint64
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
	if err := s.wantNoPin(); err != nil {
		return nil, err
	}
	if err := s.wantNoRecords(ctx); err != nil {
		return nil, err
	}
	begun, now := s.options.Now(), s.now()
	ring := &keyring{createdAt: now, current: seal.GenerateKey(), generation: 1}
	slot, err := ring.wrapFor(ctx, key)
	if err != nil {
		return nil, err
	}
	ring.slots = []slotRecord{slot}
	err = s.storeKeyring(ctx, ring, now, IfAbsent())
	if errors.Is(err, ErrAlreadyExists) {
		return nil, alreadyInitialised(err)
	}
	if err != nil {
		return nil, err
	}
	s.holdWritten(ring, begun)
	return ring, nil
}

// storeKeyring seals and writes the keyring, if it can be read again.
func (s *Store) storeKeyring(ctx context.Context, ring *keyring, now time.Time, condition Precondition) (err error) {
	e := ring.seal(now)
	if _, err := ParseEnvelope(KeyringName(), e.raw); err != nil {
		return &Error{Kind: ErrInternal, Message: "the new keyring could not be read again, and was not written", Err: err}
	}
	ring.raw = e.raw
	ring.version, err = s.provider.Store(ctx, KeyringName(), e, StoreOptions{Precondition: condition})
	return err
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
		rest, err := ring.without([]string{slotID})
		if err != nil {
			return err
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
		begun := s.options.Now()
		err = s.storeKeyring(ctx, &changed, s.now(), IfVersion(ring.version))
		if err == nil {
			s.holdWritten(&changed, begun)
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			return err
		}
		if err := attempt.next(ctx, err); err != nil {
			return err
		}
	}
}

// prefetch is a read of the keyring's record that may be under way.
type prefetch struct {
	done   chan struct{} // nil where nothing was begun
	taken  bool
	stop   context.CancelFunc
	at     time.Time
	turn   uint64
	record Record
	err    error
}

// prefetchKeyring begins to read the keyring's record, if none is held.
func (s *Store) prefetchKeyring(ctx context.Context) *prefetch {
	if s.ring.Load() != nil || len(s.options.Keys) == 0 {
		return &prefetch{}
	}
	return s.beginRead(ctx)
}

func (s *Store) beginRead(ctx context.Context) *prefetch {
	ctx, stop := context.WithCancel(ctx)
	p := &prefetch{done: make(chan struct{}), stop: stop, at: s.options.Now(), turn: s.turns.Add(1)}
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
	held, err := s.loadKeyring(ctx, pre, func(*heldKeyring) bool { return true })
	if err != nil {
		return nil, err
	}
	return held.keyring, nil
}

// freshKeyring returns one for writers, which is at most keyringAge old.
func (s *Store) freshKeyring(ctx context.Context, pre *prefetch) (*heldKeyring, error) {
	for {
		held, err := s.loadKeyring(ctx, pre, s.isFresh)
		// Asking a person for the passphrase may have taken longer.
		if err != nil || s.isFresh(held) {
			return held, err
		}
		pre = &prefetch{}
	}
}

func (s *Store) isFresh(held *heldKeyring) bool { return s.age(held) < keyringAge }

// age is the time since a keyring was known to be current. The monotonic clock
// may stand while the machine sleeps, and the other one may be set.
func (s *Store) age(held *heldKeyring) time.Duration {
	now := s.options.Now()
	return max(now.Sub(held.at), now.Round(0).Sub(held.at.Round(0)))
}

// reloadKeyring returns the keyring as it was after the call began.
func (s *Store) reloadKeyring(ctx context.Context) (*keyring, error) {
	begun := s.turns.Load()
	held, err := s.loadKeyring(ctx, &prefetch{}, func(held *heldKeyring) bool { return held.turn > begun })
	if err != nil {
		return nil, err
	}
	return held.keyring, nil
}

// loadKeyring returns the held keyring if it is good enough, and else takes the
// record that was prefetched, or reads it, and opens it. One goroutine at a time
// does so, and asks a person for the passphrase; the others then find what they
// need.
func (s *Store) loadKeyring(ctx context.Context, pre *prefetch, enough func(*heldKeyring) bool) (*heldKeyring, error) {
	if held := s.ring.Load(); held != nil && enough(held) {
		return held, nil
	}
	select {
	case s.loading <- struct{}{}:
		defer func() { <-s.loading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if held := s.ring.Load(); held != nil && enough(held) {
		return held, nil
	}
	if pre.done == nil || pre.taken {
		pre = s.beginRead(ctx)
		defer pre.cancel()
	}
	<-pre.done
	pre.taken = true
	if pre.err != nil {
		return nil, aboutKeyring(pre.err)
	}
	ring, err := s.openIfChanged(ctx, pre.record)
	if err != nil {
		return nil, aboutKeyring(err)
	}
	return s.hold(&heldKeyring{ring, pre.at, pre.turn}), nil
}

// openIfChanged returns the held keyring where the record is the same. The
// version alone does not tell: backends that count begin anew after a purge.
func (s *Store) openIfChanged(ctx context.Context, record Record) (*keyring, error) {
	if held := s.ring.Load(); held != nil && held.version == record.Version && bytes.Equal(held.raw, record.Envelope.raw) {
		return held.keyring, nil
	}
	return s.openTrusted(ctx, record)
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

// hold keeps a keyring, unless a later read or write has left another one, and
// returns the one that is kept.
func (s *Store) hold(mine *heldKeyring) *heldKeyring {
	for {
		held := s.ring.Load()
		if held != nil && held.turn > mine.turn {
			return held
		}
		if s.ring.CompareAndSwap(held, mine) {
			return mine
		}
	}
}

// holdWritten keeps a keyring that this process has just written. A read that
// began before the write ended may have seen the one before it.
func (s *Store) holdWritten(ring *keyring, begun time.Time) {
	s.hold(&heldKeyring{ring, begun, s.turns.Add(1)})
	if err := s.remember(ring); err != nil {
		// It is written: whoever called must not think that it is not.
		s.options.Logger.Warn("the keyring is written, and cannot be remembered", "reason", err.Error())
	}
}

// errKeyring marks failures that are about the keyring, not about a record.
var errKeyring = errors.New("about the keyring")

func aboutKeyring(err error) error { return mark(err, errKeyring) }

// mark adds a cause to an error of ours and changes nothing of what it says.
func mark(err, cause error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	marked := *e
	marked.Err = errors.Join(cause, e.Err)
	return &marked
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
