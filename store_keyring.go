package nebula

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/nebula-credential/nebula/internal/seal"
)

// KeyInfo describes a store's keyring.
type KeyInfo struct {
	ID           KeyID // of the data key
	Verified     bool  // whether the pin or the configuration names that id too
	Slots        []Slot
	Size         int // bytes of its record; see Description.MaxRecordSize
	CreatedAt    time.Time
	LastModified time.Time

	// Authentic is false if no key opened the keyring, or if anyone could have
	// made it. Problem is the reason. ID and Slots are then as the backend shows
	// them, and Generation is 0.
	Authentic  bool
	Problem    error
	Notes      map[string]SlotNote // by slot id; slots made by others may have none
	Generation uint64              // writes of the keyring so far
	Retired    []KeyID             // data keys that were replaced and are kept, newest first
	Rotating   bool                // records may still be under the first of them
}

// Init makes the store's data key and wraps it for key. If the store has a
// keyring, it fails with ErrAlreadyExists. If the store has records, it fails
// with ErrCorrupted, because their keyring is missing, and a new one would not
// open them. If a pin or TrustedKey says that there was a keyring, it fails
// with ErrCorrupted, too.
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
	if err := s.wantUnknown(); err != nil {
		if s.madeSince(ctx) {
			return nil, alreadyInitialised(nil)
		}
		return nil, err
	}
	if err := s.wantNoRecords(ctx); err != nil {
		return nil, err
	}
	begun, now := s.options.Now(), s.now()
	ring := &keyring{createdAt: now, current: seal.GenerateKey(), generation: 1}
	if _, err := ring.add(ctx, key, SlotNote{AddedAt: now}); err != nil {
		return nil, err
	}
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
func (s *Store) storeKeyring(ctx context.Context, ring *keyring, now time.Time, condition Precondition) error {
	e := ring.seal(now)
	if _, err := ParseEnvelope(KeyringName(), e.raw); err != nil {
		return &Error{Kind: ErrInternal, Message: "the new keyring could not be read again, and was not written", Err: err}
	}
	return s.writeKeyring(ctx, ring, e, condition)
}

// writeKeyring writes the keyring as it was sealed.
func (s *Store) writeKeyring(ctx context.Context, ring *keyring, e *Envelope, condition Precondition) (err error) {
	if limit := s.description.MaxRecordSize; limit > 0 && len(e.raw) > limit {
		return &Error{Kind: ErrTooLarge, Message: fmt.Sprintf("the keyring would have %d bytes, %d is the limit; nothing was changed", len(e.raw), limit),
			Hint: "remove a slot first: nebula key remove SLOT; those of post-quantum recipients are the largest"}
	}
	ring.raw = e.raw
	ring.version, err = s.provider.Store(ctx, KeyringName(), e, StoreOptions{Precondition: condition})
	return err
}

func alreadyInitialised(cause error) error {
	return &Error{Kind: ErrAlreadyExists, Message: "the store is initialised already", Err: cause,
		Hint: "to add another key: nebula key add --passphrase, or nebula key add --key-file FILE"}
}

func notInitialised(cause error) error {
	return &Error{Kind: ErrNotFound, Message: "the store is not initialised: it has no keyring", Hint: "if this is the right place, make one with: nebula init",
		Err: errors.Join(ErrNotInitialised, cause)}
}

// recordsWithoutKeyring is the error if there are records and no keyring. Such
// a store is not empty: a new keyring would hide that the old one was lost.
func recordsWithoutKeyring(cause error) error {
	return &Error{Kind: ErrCorrupted, Message: "the store has credentials and no keyring", Err: cause,
		Hint: "restore the keyring from a backup; without it they cannot be read"}
}

// whoseRecords explains why there are records, although no keyring was found a
// moment ago: another process may have made the store since, and written them.
func (s *Store) whoseRecords(ctx context.Context) error {
	if s.madeSince(ctx) {
		return alreadyInitialised(nil)
	}
	return recordsWithoutKeyring(nil)
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
			return s.whoseRecords(ctx)
		}
	}
}

// Keys describes the keyring. If it cannot be opened, because no key is at
// hand, none fits, or the service that guards one refuses, Keys describes it as
// the backend shows it.
func (s *Store) Keys(ctx context.Context) (KeyInfo, error) {
	const op = "list keys"
	record, err := s.retrieveKeyring(ctx)
	if err != nil {
		return KeyInfo{}, s.locate(err, op, "")
	}
	e := record.Envelope
	info := KeyInfo{ID: e.KeyID(), Size: len(e.raw), CreatedAt: e.metadata.CreatedAt, LastModified: e.metadata.LastModified}
	for _, slot := range e.slots.slots {
		info.Slots = append(info.Slots, slot.Slot)
	}
	ring, err := s.openTrusted(ctx, record)
	switch {
	case err == nil:
		info.Notes = maps.Clone(ring.notes)
		info.Authentic, info.Generation, info.Rotating = true, ring.generation, ring.rotating
		for _, key := range ring.retired {
			info.Retired = append(info.Retired, KeyID(key.ID()))
		}
	case describesUnopened(err):
		info.Problem = s.locate(err, op, "")
	default:
		return KeyInfo{}, s.locate(err, op, "")
	}
	info.Verified = s.isKnown(info.ID)
	return info, nil
}

// describesUnopened reports the failures after which [Store.Keys] describes the
// keyring as the backend shows it.
func describesUnopened(err error) bool {
	switch KindOf(err) {
	case ErrUnauthenticated, ErrWrongKey, ErrPermissionDenied, ErrUnavailable:
		return true
	}
	return errors.Is(err, errUnknownKey)
}

// Unlock reads and opens the keyring, so that a problem with the keys at hand
// shows now. Every operation that needs a key does this by itself.
func (s *Store) Unlock(ctx context.Context) error {
	_, err := s.keyring(ctx, &prefetch{})
	return s.locate(err, "open the keyring", "")
}

// TrySlot opens one slot with the keys at hand. ErrWrongKey and ErrUnauthenticated
// say that none of them opens it. Other errors say why a configured key cannot.
func (s *Store) TrySlot(ctx context.Context, slotID string) error {
	ring, err := s.keyring(ctx, &prefetch{})
	if err == nil {
		err = s.trySlot(ctx, ring, slotID)
	}
	return s.locate(err, "try a key", "")
}

func (s *Store) trySlot(ctx context.Context, ring *keyring, slotID string) error {
	i := slices.IndexFunc(ring.slots, func(r slotRecord) bool { return r.ID == slotID })
	if i < 0 {
		return noSlot(slotID)
	}
	dataKey, _, err := unwrap(ctx, ring.slots[i:i+1], s.options.Keys)
	if err == nil && dataKey.ID() != ring.current.ID() {
		err = damagedKeyring("the slot "+slotID+" holds another data key", nil)
	}
	return err
}

// AddKey makes one more slot, so that key opens the store too. The label tells
// people whose it is. It has at most [MaxLabelLength] characters, and may be
// empty.
func (s *Store) AddKey(ctx context.Context, key Key, label string) (Slot, error) {
	const op = "add a key"
	if err := checkLabel(label); err != nil {
		return Slot{}, s.locate(err, op, "")
	}
	var added Slot
	err := s.changeKeyring(ctx, func(ring *keyring) (err error) {
		added, err = ring.add(ctx, key, SlotNote{Label: label, AddedAt: s.now()})
		return err
	})
	return added, s.locate(err, op, "")
}

// Label changes the label of a slot; "" removes it.
func (s *Store) Label(ctx context.Context, slotID, label string) error {
	err := checkLabel(label)
	if err == nil {
		err = s.changeKeyring(ctx, func(ring *keyring) error { return s.label(ring, slotID, label) })
	}
	return s.locate(err, "label a key", "")
}

func (s *Store) label(ring *keyring, slotID, label string) error {
	if !ring.hasSlot(slotID) {
		return noSlot(slotID)
	}
	note, noted := ring.notes[slotID]
	if noted && note.Label == label {
		return errUnchanged
	}
	if !noted {
		note.AddedAt = ring.createdAt // the time of a slot without a note is not known
	}
	note.Label = label
	ring.note(slotID, note)
	return nil
}

// RemoveKey removes a slot. It does not revoke: anyone who has an old copy of the
// keyring and the slot's key can still take the data key from it, until the
// data key itself is replaced. [Store.Rotate] with Drop does both. The last slot
// cannot be removed.
func (s *Store) RemoveKey(ctx context.Context, slotID string) error {
	err := s.changeKeyring(ctx, func(ring *keyring) error {
		rest, err := ring.without([]string{slotID})
		if err != nil {
			return err
		}
		ring.keepSlots(rest)
		return nil
	})
	return s.locate(err, "remove a key", "")
}

// errUnchanged says that another process has already made the change.
var errUnchanged = errors.New("nothing to change")

// changeKeyring reads the keyring, changes the authenticated list of slots and
// writes it. If another writer came between, it does so again.
func (s *Store) changeKeyring(ctx context.Context, change func(*keyring) error) error {
	for attempt := newAttempts(); ; {
		ring, err := s.reloadKeyring(ctx)
		if err != nil {
			return err
		}
		if ring.generation == maxGeneration {
			return generationsExhausted()
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

// generationsExhausted refuses one more generation, which could be written and
// never be read again.
func generationsExhausted() error {
	return &Error{Kind: ErrUsage, Message: "the keyring's generation is the greatest that there can be"}
}

func (s *Store) checkKeyring(ctx context.Context) Finding {
	finding := Finding{Check: "keyring", Severity: SeverityOK}
	ring, err := s.reloadKeyring(ctx)
	var e *Error
	switch {
	case err == nil && ring.rotating:
		finding.Severity, finding.Message = SeverityWarning, "a rotation of the data key was begun and has not ended"
		finding.Fix = "nebula key rotate --resume"
	case err == nil:
		finding.Message = "opens; the data key is " + KeyID(ring.current.ID()).String()
	case errors.Is(err, ErrNotInitialised):
		finding.Severity, finding.Message, finding.Fix = SeverityWarning, "there is none yet", "nebula init"
	default:
		finding.Severity, finding.Message, finding.Kind = SeverityError, err.Error(), KindOf(err)
		if errors.As(err, &e) && e.Message != "" {
			finding.Message, finding.Fix = e.Message, e.Hint
		}
	}
	return finding
}
