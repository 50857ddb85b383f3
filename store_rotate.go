package nebula

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nebula-credential/nebula/internal/many"
	"github.com/nebula-credential/nebula/internal/seal"
)

// settleTime is how long after the write of a new data key a record may still
// be stored under the old one, on backends that do not compare. It is the age
// of a writer's keyring, and as long again for the write itself.
const settleTime = 2 * keyringAge

// maxClockDifference is the greatest assumed difference between the clocks of
// two machines. If another machine began a rotation longer ago than that, it has
// settled, whatever the clocks say. Waiting once more costs minutes, and if a
// clock is wrong by more, others notice it, by certificates for example.
const maxClockDifference = time.Hour

// RotateOptions goes with [Store.Rotate].
type RotateOptions struct {
	// Drop names slots for which the new data key is not wrapped. A slot that
	// no key at hand opens or makes anew must be dropped. A resumed rotation
	// loses these slots, but its data key was already wrapped for them: to
	// revoke a slot, rotate once more.
	Drop []string

	// ResumeOnly does nothing unless a rotation was begun.
	ResumeOnly bool

	// Leave names records, by their id, that cannot be read and that the
	// rotation may leave as they are. If another record cannot be read, the
	// rotation does not end.
	Leave []string

	// Progress is called with the number of records looked at in this pass, and
	// the number of those sealed anew in all. Its calls come one after the
	// other.
	Progress func(looked, sealed int)

	// Waiting is called when the rotation begins to wait. It says for what, and
	// until when. It is called again if the wait must be repeated.
	Waiting func(RotateWait)
}

// RotateWait describes a wait of a rotation.
type RotateWait struct {
	Duration time.Duration
	Reason   string // what is waited for: "writers that may still hold the old key"
}

// RotateResult says what a rotation did.
type RotateResult struct {
	KeyID  KeyID // the data key that was made, or that a resumed rotation had made
	Sealed int   // records that were sealed anew

	// Left has the records that could not be read and are as they were.
	Left []Entry
}

// Rotate replaces the data key: every slot then wraps a new one, and every
// record is sealed anew under it. If a [Renewer] makes a slot anew, the slot has
// another secret then. The others keep theirs. Meanwhile records can be read and
// written. If a rotation was interrupted, the next one resumes it. There is
// never a third key. The keyring keeps the old key, for the history of the
// records, until [Store.DestroyKey].
//
// Errors: ErrUsage if no key at hand opens a slot and it is not to be dropped.
// Nothing is changed then. ErrCorrupted, or the kind that they all share, if
// records cannot be read and are not to be left. Everything else is sealed anew
// then, the error names these records, and the rotation has not ended.
func (s *Store) Rotate(ctx context.Context, options RotateOptions) (RotateResult, error) {
	const op = "rotate"
	ring, err := s.reloadKeyring(ctx)
	if err != nil {
		return RotateResult{}, s.locate(err, op, "")
	}
	if !ring.rotating && options.ResumeOnly {
		if len(options.Drop) > 0 {
			return RotateResult{}, s.locate(&Error{Kind: ErrUsage, Message: "no rotation was begun, so no slot is dropped by resuming one",
				Hint: "to remove a slot: nebula key remove SLOT"}, op, "")
		}
		return RotateResult{KeyID: KeyID(ring.current.ID())}, nil
	}
	key, err := s.switchKey(ctx, options.Drop)
	if err != nil {
		return RotateResult{}, s.locate(err, op, "")
	}
	result, err := s.sweep(ctx, key, options)
	return result, s.locate(err, op, "")
}

// switchKey makes a new data key the current one, by one conditional write. If
// a rotation has begun, it resumes that and drops its slots. It returns the key
// of the rotation.
func (s *Store) switchKey(ctx context.Context, drop []string) (key KeyID, err error) {
	err = s.changeKeyring(ctx, func(ring *keyring) (err error) {
		defer func() { key = KeyID(ring.current.ID()) }()
		if ring.rotating && len(drop) == 0 {
			return errUnchanged
		}
		if ring.rotating {
			rest, err := ring.without(drop)
			if err == nil {
				ring.keepSlots(rest)
			}
			return err
		}
		if len(ring.retired) == maxRetired {
			return &Error{Kind: ErrUsage, Message: fmt.Sprintf("the keyring holds %d retired keys, the most there can be", maxRetired),
				Hint: "destroy one that no history needs: nebula key destroy ID"}
		}
		next := seal.GenerateKey()
		slots, err := s.rewrap(ctx, ring, next, drop)
		if err != nil {
			return err
		}
		ring.keepSlots(slots)
		ring.retired = slices.Insert(slices.Clone(ring.retired), 0, ring.current)
		ring.current = next
		ring.rotating, ring.switchedAt = true, s.now()
		return nil
	})
	return key, err
}

// sweep seals every record under the current key, which must be key, and ends
// the rotation. It ends it after a full pass that found no record under the old
// key, and that began when none could be stored any more and lists were no
// longer late. If the keyring has another current key, another process has
// ended this rotation and begun a new one. It is left to that process.
func (s *Store) sweep(ctx context.Context, key KeyID, options RotateOptions) (RotateResult, error) {
	result := RotateResult{KeyID: key}
	for attempt := newAttempts(); ; {
		held, err := s.reloadHeld(ctx)
		if err != nil {
			return result, err
		}
		if !held.rotating || KeyID(held.current.ID()) != key {
			return result, nil
		}
		settled := s.settledAt(held)
		early := s.options.Now().Before(settled)
		pass := newSweep(s, held.keyring, options, result.Sealed)
		err = pass.run(ctx, pass.sealOne)
		sealed := int(pass.sealed.Load())
		result.Sealed += sealed
		result.Left = pass.left
		unwilling := pass.unwilling(options.Leave)
		switch {
		case errors.Is(err, ErrKeyChanged), errors.Is(err, errSuperseded):
			err = attempt.next(ctx, err)
		case err != nil, sealed > 0:
		case len(unwilling) > 0:
			err = refuse(unwilling, "the rotation has not ended, since these cannot be read", "nebula key rotate --resume")
		case early:
			err = s.settle(ctx, settled.Sub(s.options.Now()), options)
		default:
			err = s.endRotation(ctx, key)
		}
		if err != nil {
			return result, err
		}
	}
}

// settledAt returns the time from which no record is stored under the old key,
// and lists show all records. It counts from the time when, by this clock, this
// process or this machine first saw the current key. The time in the keyring
// counts as far as clocks can be trusted.
func (s *Store) settledAt(held *heldKeyring) time.Time {
	since := held.since
	if seen := s.pinnedSince(held.keyring); !seen.IsZero() && seen.Before(since) {
		since = seen
	}
	if switched := held.switchedAt.Add(maxClockDifference); switched.Before(since) {
		since = switched
	}
	return since.Add(s.settleTime())
}

// settleTime returns how long after a switch a record may still be stored under
// the old key, or be missing in lists.
func (s *Store) settleTime() time.Duration {
	if s.description.ComparesKeyring {
		return s.description.ListLag
	}
	return settleTime + s.description.ListLag
}

// settle waits, unless the pass before it took that long.
func (s *Store) settle(ctx context.Context, wait time.Duration, options RotateOptions) error {
	if wait <= 0 {
		return nil
	}
	if options.Waiting != nil {
		reason := "writers that may still hold the old key"
		switch {
		case s.description.ComparesKeyring:
			reason = "lists, which may be late"
		case s.description.ListLag > 0:
			reason += ", and lists, which may be late"
		}
		options.Waiting(RotateWait{Duration: wait, Reason: reason})
	}
	return s.sleep(ctx, wait)
}

// endRotation makes the keyring steady, if its current key is still the one
// under which the last pass was made.
func (s *Store) endRotation(ctx context.Context, key KeyID) error {
	return s.changeKeyring(ctx, func(ring *keyring) error {
		if !ring.rotating || KeyID(ring.current.ID()) != key {
			return errUnchanged
		}
		ring.rotating, ring.switchedAt = false, time.Time{}
		return nil
	})
}

// sweep is a pass that seals records under the old key anew.
type sweep struct {
	recordPass
	room   *many.Room // for the records that are read and sealed
	sealed atomic.Int64
}

func newSweep(s *Store, ring *keyring, options RotateOptions, before int) *sweep {
	w := &sweep{
		recordPass: recordPass{store: s, ring: ring, finish: true, jobs: s.Jobs()},
		room:       many.NewRoom(s.options.MaxConcurrency),
	}
	if options.Progress != nil {
		w.progress = func(looked int) { options.Progress(looked, before+int(w.sealed.Load())) }
	}
	return w
}

// sealOne seals the record anew if necessary, on condition that nobody wrote it
// meanwhile.
func (w *sweep) sealOne(ctx context.Context, name Name) (unreadable, err error) {
	place, err := w.room.Enter(ctx)
	if err != nil {
		return nil, err
	}
	defer place.Leave()
	record, key, unreadable, err := w.retrieve(ctx, name, currentRecord)
	if err == nil && unreadable == nil {
		place.Sized(len(record.Envelope.raw))
	}
	if unreadable != nil || err != nil || key == w.ring.current {
		return unreadable, err
	}
	// A pass may take long. A record must be sealed under the key that is
	// current when it is written.
	held, err := w.store.freshKeyring(ctx, &prefetch{})
	if err != nil {
		return nil, err
	}
	if !held.rotating || held.current.ID() != w.ring.current.ID() {
		return nil, errSuperseded
	}
	_, err = w.store.sealAnew(ctx, name, record, key, held)
	if errors.Is(err, errDamaged) {
		return err, nil
	}
	if err == nil {
		w.sealed.Add(1)
	}
	return nil, err
}

// sealAnew seals a record under the current key. Value and metadata stay.
func (s *Store) sealAnew(ctx context.Context, name Name, r Record, key *seal.Key, ring *heldKeyring) (*Envelope, error) {
	plaintext, err := r.Envelope.open(key, name)
	if err != nil {
		return nil, damagedRecord(err)
	}
	defer clear(plaintext)
	e := sealEnvelope(ring.current, name, plaintext, r.Envelope.metadata, nil)
	bounded, cancel := s.whileKeyHolds(ctx, ring)
	defer cancel()
	options := StoreOptions{Precondition: IfVersion(r.Version), Previous: r.Envelope}
	_, err = s.provider.Store(bounded, name, e, options)
	s.wrote(name, err)
	if err != nil {
		return nil, err
	}
	return e, s.resealMark(name, r.Envelope, e, ring.keyring)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
