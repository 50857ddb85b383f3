package nebula

import (
	"bytes"
	"context"
	"errors"
	"time"
)

// keyringAge is the greatest age of a keyring that a writer seals with. After a
// rotation of the data key, no writer uses the old key for longer than that.
const keyringAge = 60 * time.Second

// heldKeyring is a keyring, with the time when it was known to be current. That
// is the time before it was read or written. It also has the number of that
// read or write.
type heldKeyring struct {
	*keyring
	at    time.Time
	turn  uint64
	since time.Time // its current key was the current one then, and ever since
}

// prefetch is a read of the keyring's record that may be under way.
type prefetch struct {
	done   chan struct{} // nil if nothing was begun
	taken  bool
	stop   context.CancelFunc
	at     time.Time
	turn   uint64
	record Record
	err    error
}

// prefetchKeyring begins to read the keyring's record, if none is held.
func (s *Store) prefetchKeyring(ctx context.Context) *prefetch {
	if s.ring.Load() != nil || len(s.options.Keys) == 0 && s.options.DataKeys == nil {
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

// keyring returns the keyring. It reads and opens it if none is held.
func (s *Store) keyring(ctx context.Context, pre *prefetch) (*keyring, error) {
	held, err := s.loadKeyring(ctx, pre, func(*heldKeyring) bool { return true })
	if err != nil {
		return nil, err
	}
	return held.keyring, nil
}

// freshKeyring returns a keyring for writers, which is at most keyringAge old.
func (s *Store) freshKeyring(ctx context.Context, pre *prefetch) (*heldKeyring, error) {
	for {
		held, err := s.loadKeyring(ctx, pre, s.isFresh)
		// Asking a person for the passphrase may have taken longer.
		if err != nil || s.isFresh(held) {
			return held, err
		}
	}
}

func (s *Store) isFresh(held *heldKeyring) bool { return s.age(held) < keyringAge }

// age is the time since a keyring was known to be current. The monotonic clock
// may stand while the machine sleeps, and the other one may be set.
func (s *Store) age(held *heldKeyring) time.Duration { return s.since(held.at) }

func (s *Store) since(at time.Time) time.Duration {
	now := s.options.Now()
	return max(now.Sub(at), now.Round(0).Sub(at.Round(0)))
}

// reloadKeyring returns the keyring as it was after the call began.
func (s *Store) reloadKeyring(ctx context.Context) (*keyring, error) {
	held, err := s.reloadHeld(ctx)
	if err != nil {
		return nil, err
	}
	return held.keyring, nil
}

func (s *Store) reloadHeld(ctx context.Context) (*heldKeyring, error) {
	begun := s.turns.Load()
	return s.loadKeyring(ctx, &prefetch{}, func(held *heldKeyring) bool { return held.turn > begun })
}

// loadKeyring returns the held keyring if it is good enough. Otherwise it takes
// the prefetched record, or reads the record, and opens it. One goroutine at a
// time does so, and asks a person for the passphrase. The others then find the
// keyring held.
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
	return s.hold(ring, pre.at, pre.turn), nil
}

// openIfChanged returns the held keyring if the record is the same. The version
// alone does not show that: backends that count versions begin anew after a
// purge.
func (s *Store) openIfChanged(ctx context.Context, record Record) (*keyring, error) {
	if held := s.ring.Load(); held != nil && held.version == record.Version && bytes.Equal(held.raw, record.Envelope.raw) {
		return held.keyring, nil
	}
	return s.openTrusted(ctx, record)
}

// openTrusted opens a keyring's record and compares it with the pin. Between
// the two another process may have written a newer keyring and pinned that.
// Then the newer one counts.
func (s *Store) openTrusted(ctx context.Context, record Record) (*keyring, error) {
	var newest uint64 // generation that was opened
	for again := newKeyringReads(); ; {
		ring, err := s.openRecord(ctx, record)
		if err != nil {
			return nil, err
		}
		distrust := s.checkTrust(ring)
		if distrust == nil {
			s.keep(ctx, ring)
			return ring, nil
		}
		progress := ring.generation > newest // others write faster than this process reads
		newest = max(newest, ring.generation)
		newer, err := s.retrieveKeyring(ctx)
		// An older copy may also be a late answer, if the backend's reads can be
		// late.
		same := newer.Version == record.Version && !errors.Is(distrust, ErrRolledBack)
		if err != nil || same {
			return nil, distrust
		}
		record = newer
		if progress {
			continue
		}
		if err := again.next(ctx, distrust); err != nil {
			return nil, err
		}
	}
}

// openRecord opens a keyring's record. If the data key is at hand, it uses
// that, opens no slot and asks nobody.
func (s *Store) openRecord(ctx context.Context, record Record) (*keyring, error) {
	if held := s.ring.Load(); held != nil && held.current.ID() == record.Envelope.keyID {
		return readKeyring(record, held.current, held.openedBy)
	}
	if s.cache != nil {
		if ring := s.cache.ring.Load(); ring != nil && ring.current.ID() == record.Envelope.keyID {
			return readKeyring(record, ring.current, ring.openedBy)
		}
	}
	kept, err := s.openKept(ctx, record)
	if err != nil || kept != nil && (kept.vouched || s.knowsKey()) {
		return kept, err
	}
	ring, err := openKeyring(ctx, record, s.options.Keys)
	if kept != nil && KindOf(err) == ErrUnauthenticated {
		return kept, nil // which is refused, and that says more than that no key is at hand
	}
	return ring, err
}

func (s *Store) retrieveKeyring(ctx context.Context) (Record, error) {
	if err := s.connectLate(ctx); err != nil {
		return Record{}, err
	}
	record, err := s.provider.Retrieve(ctx, KeyringName())
	if !errors.Is(err, ErrNotFound) {
		return record, err
	}
	why := s.whyNoKeyring(err)
	if errors.Is(why, ErrCorrupted) { // see madeSince
		if record, err := s.provider.Retrieve(ctx, KeyringName()); err == nil {
			return record, nil
		}
	}
	return Record{}, why
}

// hold keeps a keyring, unless a later read or write has left another one, and
// returns the one that is kept.
func (s *Store) hold(ring *keyring, at time.Time, turn uint64) *heldKeyring {
	// The time after the read: before it, the key may not have been current yet.
	mine := &heldKeyring{keyring: ring, at: at, turn: turn, since: s.options.Now()}
	for {
		held := s.ring.Load()
		if held != nil && held.turn > mine.turn {
			return held
		}
		if held != nil && held.current.ID() == mine.current.ID() {
			mine.since = held.since
		}
		if s.ring.CompareAndSwap(held, mine) {
			return mine
		}
	}
}

// holdWritten keeps a keyring that this process has just written. A read that
// began before the write ended may have seen the one before it.
func (s *Store) holdWritten(ring *keyring, begun time.Time) {
	s.hold(ring, begun, s.turns.Add(1))
	if err := s.remember(ring); err != nil {
		// It is written, and the caller must not conclude that it is not.
		s.options.Logger.Warn("the keyring is written, and cannot be remembered", "reason", err.Error())
	}
}

// errKeyring marks failures that are about the keyring, not about a record.
var errKeyring = errors.New("about the keyring")

func aboutKeyring(err error) error { return mark(err, errKeyring) }

// mark adds a cause to an error of ours and leaves its text as it is.
func mark(err, cause error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	marked := *e
	marked.Err = errors.Join(cause, e.Err)
	return &marked
}
