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

// settleTime is how long after a new data key was written a record may still
// come in under the old one, on backends that do not compare: the age of a
// writer's keyring, and as long again for the write itself.
const settleTime = 2 * keyringAge

// maxClockDifference is how far the clocks of two machines are trusted to agree.
// A rotation that another machine began longer ago than that has settled,
// whatever the clocks say; waiting once more costs minutes, and a clock that is
// wrong by more is noticed elsewhere, by certificates for example.
const maxClockDifference = time.Hour

// RotateOptions goes with [Store.Rotate].
type RotateOptions struct {
	// Drop names slots that the new data key is not wrapped for. Those that no
	// key at hand opens, or makes anew, have to be dropped. A rotation that is
	// resumed loses them, but its data key was wrapped for them: to revoke a
	// slot, rotate once more.
	Drop []string

	// ResumeOnly does nothing unless a rotation was begun.
	ResumeOnly bool

	// Leave names records that cannot be read, by their id, and that the
	// rotation may leave as they are. Any other one keeps it from its end.
	Leave []string

	// Progress is told how many records have been looked at in this pass, and
	// how many were sealed anew in all. Its calls come one after the other.
	Progress func(looked, sealed int)

	// Waiting is told when the rotation begins to wait, for what and until
	// when. It is called again if the wait has to be repeated.
	Waiting func(RotateWait)
}

// RotateWait is a wait of a rotation that lies ahead.
type RotateWait struct {
	Duration time.Duration
	Reason   string // what is waited for: "writers that may still hold the old key"
}

// RotateResult tells what a rotation did.
type RotateResult struct {
	KeyID  KeyID // the data key that was made, or that a resumed rotation had made
	Sealed int   // records that were sealed anew

	// Left are the records that could not be read and are as they were.
	Left []Entry
}

// Rotate replaces the data key: every slot then wraps a new one, and every
// record is sealed anew under it. A slot that a [Renewer] makes anew has another
// secret then; the others keep theirs. Records can be read and written all the
// while. A rotation that was interrupted is resumed by the next one; there is
// never a third key. The old key is kept in the keyring, for the history of
// the records, until [Store.DestroyKey].
//
// Errors: ErrUsage if a slot is opened by none of the keys at hand and is not
// to be dropped; nothing is changed then. ErrCorrupted, or the kind that all of
// them have, if records cannot be read and are not to be left: everything
// else is sealed anew then, the error names them, and the rotation has not ended.
func (s *Store) Rotate(ctx context.Context, options RotateOptions) (RotateResult, error) {
	const op = "rotate"
	ring, err := s.reloadKeyring(ctx)
	if err != nil {
		return RotateResult{}, s.locate(err, op, "")
	}
	if !ring.rotating && options.ResumeOnly {
		if len(options.Drop) > 0 {
			return RotateResult{}, s.locate(&Error{Kind: ErrUsage, Message: "no rotation was begun, so no slot is dropped by resuming one",
				Hint: "a slot is removed with: nebula key remove SLOT"}, op, "")
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

// switchKey makes a new data key the current one, by one conditional write. A
// rotation that was begun is resumed, and loses the slots to be dropped. It
// returns the key of the rotation.
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
// the rotation. The end is a full pass that finds no record under the old key,
// and that began when none could come in any more, and lists were no longer
// late. If the keyring has another current key, another process has ended
// this rotation and begun a new one, which is that one's to end.
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

// settledAt returns the time from which no record comes in under the old key,
// and lists show all. It counts from when the current key is known to have been
// in use, by this clock: since this process or this machine first saw it. What
// the keyring says of the time counts as far as clocks can be trusted.
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

// settleTime returns how long after a switch a record may still come in under
// the old key, or be missing in lists.
func (s *Store) settleTime() time.Duration {
	if s.description.ComparesKeyring {
		return s.description.ListLag
	}
	return settleTime + s.description.ListLag
}

// settle waits, unless the pass before it took as long.
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

// sweep is a pass that seals anew what is under the old key.
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

// sealOne seals the record anew if it has to be, on condition that nobody wrote
// it meanwhile.
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
	// A pass may take long: what is sealed must be under the key that is current
	// when it is written.
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
