package nebula

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nebula-credential/nebula/internal/seal"
)

// settleTime is how long after a new data key was written a record may still
// come in under the old one, on backends that do not compare: the age of a
// writer's keyring, and as long again for the write itself.
const settleTime = 2 * keyringAge

// RotateOptions goes with [Store.Rotate].
type RotateOptions struct {
	// Drop names slots that the new data key is not wrapped for. Those that no
	// key at hand opens have to be dropped.
	Drop []string

	// ResumeOnly does nothing unless a rotation was begun.
	ResumeOnly bool

	// Progress is told how many records have been looked at in this pass, and
	// how many were sealed anew in all. Its calls come one after the other.
	Progress func(looked, sealed int)

	// Waiting is told for how long the rotation waits for writers that hold the
	// old key, on backends that cannot refuse them.
	Waiting func(time.Duration)
}

// RotateResult tells what a rotation did.
type RotateResult struct {
	KeyID  KeyID // the current data key
	Sealed int   // records that were sealed anew

	// Left are the credentials that could not be read and are as they were.
	Left []Entry
}

// Rotate replaces the data key: every slot then wraps a new one, and every
// record is sealed anew under it. Records can be read and written all the
// while. A rotation that was interrupted is resumed by the next one; there is
// never a third key. The old key is kept in the keyring, for the history of
// the records, until [Store.DestroyKey].
//
// It fails with ErrUsage, and changes nothing, where a slot is opened by none
// of the keys at hand and is not to be dropped.
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
	if err := s.switchKey(ctx, options.Drop); err != nil {
		return RotateResult{}, s.locate(err, op, "")
	}
	result, err := s.sweep(ctx, options)
	return result, s.locate(err, op, "")
}

// switchKey makes a new data key the current one, by one conditional write. A
// rotation that was begun is resumed, and loses the slots to be dropped.
func (s *Store) switchKey(ctx context.Context, drop []string) error {
	return s.changeKeyring(ctx, func(ring *keyring) (err error) {
		if ring.rotating && len(drop) == 0 {
			return errUnchanged
		}
		if ring.rotating {
			ring.slots, err = ring.without(drop)
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
		ring.slots = slots
		ring.retired = slices.Insert(slices.Clone(ring.retired), 0, ring.current)
		ring.current = next
		ring.rotating, ring.switchedAt = true, s.now()
		return nil
	})
}

// UnlockSlots opens every slot that a rotation with that Drop wraps a new data
// key for. The keys at hand then hold their secrets, so that [Store.Rotate] asks
// nobody for a passphrase any more. It fails as Rotate does.
func (s *Store) UnlockSlots(ctx context.Context, drop []string) error {
	ring, err := s.keyring(ctx, &prefetch{})
	if err == nil {
		_, _, err = s.openSlots(ctx, ring, drop)
	}
	return s.locate(err, "rotate", "")
}

// rewrap wraps the next data key for the slots that are kept. Id, kind, salt
// and parameters stay, so that a running process opens the new keyring with
// the secret that it holds.
func (s *Store) rewrap(ctx context.Context, ring *keyring, next *seal.Key, drop []string) ([]slotRecord, error) {
	kept, keks, err := s.openSlots(ctx, ring, drop)
	if err != nil {
		return nil, err
	}
	slots := make([]slotRecord, len(kept))
	for i, slot := range kept {
		slots[i] = slotRecord{slot.Slot, keks[i].Wrap(slot.seal(), next)}
	}
	return slots, nil
}

// openSlots returns the slots that are not dropped, and the key of each.
func (s *Store) openSlots(ctx context.Context, ring *keyring, drop []string) ([]slotRecord, []seal.KEK, error) {
	kept, err := ring.without(drop)
	if err != nil {
		return nil, nil, err
	}
	var keks []seal.KEK
	var closed []string
	for _, slot := range kept {
		kek, opened, err := s.openSlot(ctx, slot)
		if err != nil {
			return nil, nil, err
		}
		if !opened {
			closed = append(closed, slot.ID+" ("+slot.Kind+")")
		}
		keks = append(keks, kek)
	}
	if closed != nil {
		return nil, nil, &Error{Kind: ErrUsage,
			Message: "no key or passphrase at hand opens the slots " + strings.Join(closed, ", ") + ", which would lose access",
			Hint:    "give their keys too, or drop them: nebula key rotate --drop SLOT"}
	}
	return kept, keks, nil
}

// openSlot returns the slot's key if one of the keys at hand opens it.
func (s *Store) openSlot(ctx context.Context, slot slotRecord) (seal.KEK, bool, error) {
	for _, key := range s.options.Keys {
		if !key.Opens(slot.Kind) {
			continue
		}
		secret, err := key.Secret(ctx, slot.Slot)
		if errors.Is(err, ErrUnauthenticated) {
			continue
		}
		if err != nil {
			return seal.KEK{}, false, err
		}
		kek := seal.NewKEK(slot.seal(), secret)
		_, err = kek.Unwrap(slot.seal(), slot.wrapped)
		if err == nil || !errors.Is(err, seal.ErrCommitment) {
			return kek, err == nil, err
		}
	}
	return seal.KEK{}, false, nil
}

// sweep seals every record under the current key and ends the rotation. The
// end is a full pass that finds no record under the old key, and that began
// when none could come in any more, and lists were no longer late.
func (s *Store) sweep(ctx context.Context, options RotateOptions) (RotateResult, error) {
	var result RotateResult
	// By this clock, from when this process first saw the new key: the clock of
	// the one that made it may be ahead or behind.
	settled := s.options.Now().Add(s.settleTime())
	for attempt := newAttempts(); ; {
		ring, err := s.reloadKeyring(ctx)
		if err != nil {
			return result, err
		}
		result.KeyID = KeyID(ring.current.ID())
		if !ring.rotating {
			return result, nil
		}
		wait := settled.Sub(s.options.Now())
		pass := &sweepPass{store: s, ring: ring, options: options, before: result.Sealed}
		err = pass.run(ctx)
		result.Sealed += int(pass.sealed.Load())
		result.Left = pass.left
		switch {
		case errors.Is(err, ErrKeyChanged): // by another rotation
			err = attempt.next(ctx, err)
		case err != nil, pass.sealed.Load() > 0:
		case wait > 0:
			if options.Waiting != nil {
				options.Waiting(wait)
			}
			err = s.sleep(ctx, wait)
		default:
			err = s.endRotation(ctx)
		}
		if err != nil {
			return result, err
		}
	}
}

// settleTime returns how long after a switch a record may still come in under
// the old key, or be missing in lists.
func (s *Store) settleTime() time.Duration {
	if s.description.ComparesKeyring {
		return s.description.ListLag
	}
	return settleTime + s.description.ListLag
}

func (s *Store) endRotation(ctx context.Context) error {
	return s.changeKeyring(ctx, func(ring *keyring) error {
		if !ring.rotating {
			return errUnchanged
		}
		ring.rotating, ring.switchedAt = false, time.Time{}
		return nil
	})
}

// sweepPass looks at every record once.
type sweepPass struct {
	store   *Store
	ring    *keyring
	options RotateOptions
	before  int // sealed in earlier passes

	sealed atomic.Int64
	mu     sync.Mutex
	looked int
	left   []Entry
}

func (p *sweepPass) run(ctx context.Context) error {
	pager := p.store.provider.List(ctx, Filter{})
	defer pager.Close()
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(p.store.options.MaxConcurrency)
	listed := p.each(groupCtx, pager, func(name Name) {
		group.Go(func() error { return p.one(groupCtx, name) })
	})
	// What went wrong with a record ended the list, too.
	if err := group.Wait(); err != nil {
		return err
	}
	return listed
}

func (p *sweepPass) each(ctx context.Context, pager Pager, visit func(Name)) error {
	for {
		page, err := pager.NextPage(ctx)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range page {
			name, err := e.ID.Name()
			if err != nil {
				return err
			}
			visit(name)
		}
	}
}

// one seals one record anew, on condition that nobody wrote it meanwhile. One
// that cannot be read is left as it is.
func (p *sweepPass) one(ctx context.Context, name Name) error {
	for attempt := newAttempts(); ; {
		unreadable, err := p.try(ctx, name)
		if unreadable != nil || err == nil {
			p.report(name, unreadable)
			return nil
		}
		if errors.Is(err, ErrConflict) && !errors.Is(err, ErrKeyChanged) {
			err = attempt.next(ctx, err)
		}
		if err != nil {
			return p.store.locate(err, "rotate", name.ID())
		}
	}
}

func (p *sweepPass) report(name Name, unreadable error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if unreadable != nil {
		p.left = append(p.left, Entry{ID: name.ID(), Err: p.store.locate(unreadable, "rotate", name.ID())})
	}
	p.looked++
	if p.options.Progress != nil {
		p.options.Progress(p.looked, p.before+int(p.sealed.Load()))
	}
}

// try seals the record anew if it has to be. Only what is wrong with the record
// itself makes it unreadable.
func (p *sweepPass) try(ctx context.Context, name Name) (unreadable, err error) {
	record, err := p.store.provider.Retrieve(ctx, name)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case isUnreadable(err):
		return err, nil
	case err != nil:
		return nil, err
	case record.Envelope.keyID == p.ring.current.ID():
		return nil, nil
	}
	key, unreadable := p.ring.keyFor(name, record.Envelope, currentRecord)
	if unreadable != nil {
		return unreadable, nil
	}
	_, err = p.store.sealAnew(ctx, name, record, key, p.ring)
	if errors.Is(err, errDamaged) {
		return err, nil
	}
	if err == nil {
		p.sealed.Add(1)
	}
	return nil, err
}

// sealAnew seals a record under the current key. Value and metadata stay.
func (s *Store) sealAnew(ctx context.Context, name Name, r Record, key *seal.Key, ring *keyring) (*Envelope, error) {
	plaintext, err := r.Envelope.open(key, name)
	if err != nil {
		return nil, damagedRecord(err)
	}
	defer clear(plaintext)
	e := sealEnvelope(ring.current, name, plaintext, r.Envelope.metadata, nil)
	options := StoreOptions{Precondition: IfVersion(r.Version), Previous: r.Envelope}
	if _, err = s.provider.Store(ctx, name, e, options); err != nil {
		return nil, err
	}
	return e, s.resealMark(name, r.Envelope, e, ring)
}

// DestroyKey removes a retired data key from the keyring. What is sealed under
// it, old versions, deleted credentials and backups, can then no longer be read,
// and whoever trusts the store by that key alone no longer does.
func (s *Store) DestroyKey(ctx context.Context, id KeyID) error {
	err := s.changeKeyring(ctx, func(ring *keyring) error {
		i := slices.IndexFunc(ring.retired, func(k *seal.Key) bool { return KeyID(k.ID()) == id })
		switch {
		case KeyID(ring.current.ID()) == id:
			return &Error{Kind: ErrUsage, Message: fmt.Sprintf("%v is the current data key", id),
				Hint: "replace it first: nebula key rotate"}
		case i < 0:
			return &Error{Kind: ErrNotFound, Message: fmt.Sprintf("the keyring holds no retired key %v", id)}
		case ring.rotating && i == 0:
			return &Error{Kind: ErrUsage, Message: fmt.Sprintf("records are still sealed under %v", id),
				Hint: "end the rotation first: nebula key rotate --resume"}
		}
		ring.retired = slices.Delete(slices.Clone(ring.retired), i, i+1)
		return nil
	})
	return s.locate(err, "destroy a key", "")
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
