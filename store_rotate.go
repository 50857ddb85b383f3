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

// settleTime is how long after a new data key was written another process may
// still seal under the old one, on backends that do not compare: the age of a
// writer's keyring, twice.
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
	if !ring.rotating {
		if options.ResumeOnly {
			return RotateResult{KeyID: KeyID(ring.current.ID())}, nil
		}
		if err := s.switchKey(ctx, options.Drop); err != nil {
			return RotateResult{}, s.locate(err, op, "")
		}
	}
	result, err := s.sweep(ctx, options)
	return result, s.locate(err, op, "")
}

// switchKey makes a new data key the current one, by one conditional write.
func (s *Store) switchKey(ctx context.Context, drop []string) error {
	return s.changeKeyring(ctx, func(ring *keyring) error {
		if ring.rotating {
			return errUnchanged // another process began; its rotation is resumed
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

// rewrap wraps the next data key for the slots that are kept. Id, kind, salt
// and parameters stay, so that a running process opens the new keyring with
// the secret that it holds.
func (s *Store) rewrap(ctx context.Context, ring *keyring, next *seal.Key, drop []string) ([]slotRecord, error) {
	for _, id := range drop {
		if !ring.hasSlot(id) {
			return nil, &Error{Kind: ErrNotFound, Message: "the keyring has no slot " + quoteID(id), Hint: "they are shown by: nebula key list"}
		}
	}
	var slots []slotRecord
	var closed []string
	for _, slot := range ring.slots {
		if slices.Contains(drop, slot.ID) {
			continue
		}
		kek, opened, err := s.openSlot(ctx, slot)
		if err != nil {
			return nil, err
		}
		if !opened {
			closed = append(closed, slot.ID+" ("+slot.Kind+")")
			continue
		}
		slots = append(slots, slotRecord{slot.Slot, kek.Wrap(slot.seal(), next)})
	}
	switch {
	case closed != nil:
		return nil, &Error{Kind: ErrUsage,
			Message: "no key or passphrase at hand opens the slots " + strings.Join(closed, ", ") + ", which would lose access",
			Hint:    "give their keys too, or drop them: nebula key rotate --drop SLOT"}
	case slots == nil:
		return nil, &Error{Kind: ErrUsage, Message: "no slot would be left: nothing would open the store"}
	}
	return slots, nil
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
// when no writer could use it any more.
func (s *Store) sweep(ctx context.Context, options RotateOptions) (RotateResult, error) {
	var result RotateResult
	for {
		ring, err := s.reloadKeyring(ctx)
		if err != nil {
			return result, err
		}
		result.KeyID = KeyID(ring.current.ID())
		if !ring.rotating {
			return result, nil
		}
		// The clock that wrote switchedAt may be ahead of ours.
		wait := min(s.settleTime(), ring.switchedAt.Add(s.settleTime()).Sub(s.options.Now()))
		pass := &sweepPass{store: s, ring: ring, options: options, before: result.Sealed}
		err = pass.run(ctx)
		if err != nil && !errors.Is(err, ErrKeyChanged) { // changed: by another rotation
			return result, err
		}
		result.Sealed += int(pass.sealed.Load())
		result.Left = pass.left
		switch {
		case err != nil, pass.sealed.Load() > 0:
		case wait > 0:
			if options.Waiting != nil {
				options.Waiting(wait)
			}
			if err := sleep(ctx, wait); err != nil {
				return result, err
			}
		default:
			if err := s.endRotation(ctx); err != nil {
				return result, err
			}
		}
	}
}

// settleTime returns how long after a switch a record may still come in under
// the old key, or be missing in lists.
func (s *Store) settleTime() time.Duration {
	if s.description.ComparesKeyring {
		return s.description.ListLag
	}
	return max(settleTime, s.description.ListLag)
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
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(p.store.options.MaxConcurrency)
	for ctx.Err() == nil {
		page, err := pager.NextPage(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		for _, e := range page {
			name := Name{string(e.ID)} // the slice is the pager's
			group.Go(func() error { return p.one(ctx, name) })
		}
	}
	return group.Wait()
}

// one seals one record anew, on condition that nobody wrote it meanwhile.
func (p *sweepPass) one(ctx context.Context, name Name) error {
	for attempt := newAttempts(); ; {
		err := p.try(ctx, name)
		switch {
		case err == nil:
			p.report()
			return nil
		case errors.Is(err, ErrConflict) && !errors.Is(err, ErrKeyChanged) && attempt.next(ctx):
		case isUnreadable(err):
			p.mu.Lock()
			defer p.mu.Unlock()
			p.left = append(p.left, Entry{ID: name.ID(), Err: p.store.locate(err, "rotate", name.ID())})
			return nil
		default:
			return locate(err, "rotate", p.store.description.Provider, name.ID())
		}
	}
}

func (p *sweepPass) report() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looked++
	if p.options.Progress != nil {
		p.options.Progress(p.looked, p.before+int(p.sealed.Load()))
	}
}

func (p *sweepPass) try(ctx context.Context, name Name) error {
	record, err := p.store.provider.Retrieve(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	e := record.Envelope
	if e.keyID == p.ring.current.ID() {
		return nil
	}
	key, err := p.ring.keyFor(name, e, currentRecord)
	if err != nil {
		return err
	}
	if err := p.store.sealAnew(ctx, name, record, key, p.ring); err != nil {
		return err
	}
	p.sealed.Add(1)
	return nil
}

// sealAnew seals a record under the current key. Value and metadata stay.
func (s *Store) sealAnew(ctx context.Context, name Name, r Record, key *seal.Key, ring *keyring) error {
	plaintext, err := r.Envelope.open(key, name)
	if err != nil {
		return damagedRecord(err)
	}
	defer clear(plaintext)
	e := sealEnvelope(ring.current, name, plaintext, r.Envelope.metadata, nil)
	_, err = s.provider.Store(ctx, name, e, StoreOptions{Precondition: s.condition(IfVersion(r.Version))})
	return err
}

// DestroyKey removes a retired data key from the keyring. What is sealed under
// it, old versions and backups, can then no longer be read.
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
