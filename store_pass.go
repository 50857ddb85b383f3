package nebula

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/nebula-credential/nebula/internal/many"
	"github.com/nebula-credential/nebula/internal/seal"
)

// errSuperseded says that the keyring names another current key than the one
// with which a pass began. The result of the pass is no longer valid.
var errSuperseded = errors.New("the data key was replaced again")

// recordPass looks at every record once.
type recordPass struct {
	store    *Store
	ring     *keyring
	progress func(looked int) // may be nil
	finish   bool             // what is under way when the context is cancelled
	jobs     int              // records under way at once

	left []Entry // what cannot be read
}

// lookFunc looks at one record. unreadable says what is wrong with the record
// itself. err ends the pass, if not at once: see judgePass.
type lookFunc func(ctx context.Context, name Name) (unreadable, err error)

// run returns the failure that ended the pass, or else the first one.
func (p *recordPass) run(ctx context.Context, look lookFunc) error {
	listing, cancel := context.WithCancel(ctx)
	defer cancel()
	options := many.Options{Jobs: p.jobs, Finish: p.finish, Cancel: cancel, Judge: judgePass}
	one := func(ctx context.Context, e Entry) (unreadable, err error) { return p.one(ctx, e, look) }
	var first error
	looked := 0
	for r, err := range many.Do(ctx, p.entries(listing), options, one) {
		switch {
		case err != nil:
			return err
		case r.Err != nil:
			first = cmp.Or(first, r.Err)
			continue
		case r.Value != nil:
			p.left = append(p.left, Entry{ID: r.Item.ID, Err: p.store.locate(r.Value, "rotate", r.Item.ID)})
		}
		if looked++; p.progress != nil {
			p.progress(looked)
		}
	}
	return first
}

// entries lists all records. A backend may leave records out of a plain list that
// it is to delete later.
func (p *recordPass) entries(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for page, err := range p.store.pages(ctx, Filter{WithMetadata: true}) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// judgePass ends a pass at a failure that concerns the records to come, too.
func judgePass(err error) many.About {
	if KindOf(err).OfBackend() {
		return many.AboutBackend
	}
	return many.AboutRun
}

// one looks at one record, and again if another writer came between. An entry
// without an id belongs to the store, but its id is not known.
func (p *recordPass) one(ctx context.Context, e Entry, look lookFunc) (unreadable, err error) {
	name, err := e.ID.Name()
	if err != nil {
		return cmp.Or(e.Err, err), nil
	}
	for attempt := newAttempts(); ; {
		unreadable, err := look(ctx, name)
		switch {
		case err == nil && unreadable == errGone:
			// If a list cannot identify an entry, it may name one that is not
			// there.
			return e.Err, nil
		case err == nil:
			return unreadable, nil
		case errors.Is(err, errSuperseded):
			return nil, err
		case errors.Is(err, ErrConflict) && !errors.Is(err, ErrKeyChanged):
			err = attempt.next(ctx, err)
		}
		if err != nil {
			return nil, p.store.locate(err, "rotate", name.ID())
		}
	}
}

// errGone says that there is no record.
var errGone = errors.New("there is none")

// retrieve reads a record and finds the key that it is sealed under.
func (p *recordPass) retrieve(ctx context.Context, name Name, rule openRule) (r Record, key *seal.Key, unreadable, err error) {
	r, err = p.store.provider.Retrieve(ctx, name)
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrNotARecord): // nothing of this store's
		return r, key, errGone, nil
	case isUnreadable(err), KindOf(err) == ErrPermissionDenied:
		return r, key, err, nil
	case err != nil:
		return r, key, nil, err
	}
	key, unreadable = p.ring.keyThatFits(name, r.Envelope, rule)
	if unreadable == nil {
		return r, key, nil, nil
	}
	// Only the current keyring can say so.
	ring, err := p.store.reloadKeyring(ctx)
	if err == nil && ring.current.ID() != p.ring.current.ID() {
		err = errSuperseded
	}
	return r, key, unreadable, err
}

// unwilling returns the records that cannot be read and are not to be left.
func (p *recordPass) unwilling(leave []string) []Entry {
	return slices.DeleteFunc(slices.Clone(p.left), func(e Entry) bool { return slices.Contains(leave, string(e.ID)) })
}

// refuse returns an error that names the records that keep an operation from
// its end.
func refuse(entries []Entry, consequence, command string) error {
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(string(a.ID), string(b.ID)) })
	const maxNamed = 10
	kind := KindOf(entries[0].Err)
	var named []string
	for i, e := range entries {
		if KindOf(e.Err) != kind {
			kind = ErrCorrupted
		}
		if i < maxNamed {
			named = append(named, quoteID(string(e.ID))+" ("+whatIsWrong(e.Err)+")")
		}
	}
	if more := len(entries) - maxNamed; more > 0 {
		named = append(named, fmt.Sprintf("and %d more", more))
	}
	refused := &Error{Kind: kind, Message: consequence + ": " + strings.Join(named, ", "), Err: entries[0].Err,
		Hint: "restore or delete them; or leave one as it is, with: " + command + " --leave NAME"}
	if len(entries) == 1 {
		refused.ID = entries[0].ID
	}
	return refused
}

// whatIsWrong returns an error's message without the operation and the hint. It
// cuts the message so that several can be shown.
func whatIsWrong(err error) string {
	const maxShown = 200
	message := err.Error()
	var e *Error
	if errors.As(err, &e) && e.Message != "" {
		message = e.Message
	}
	if len(message) > maxShown {
		message = strings.ToValidUTF8(message[:maxShown], "") + "…"
	}
	return message
}
