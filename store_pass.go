package nebula

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/nebula-credential/nebula/internal/seal"
)

// errSuperseded says that the keyring names another current key than the one
// that a pass was begun with: what the pass found holds no longer.
var errSuperseded = errors.New("the data key was replaced again")

// recordPass looks at every record once.
type recordPass struct {
	store    *Store
	ring     *keyring
	progress func(looked int) // may be nil; its calls come one after the other

	mu     sync.Mutex
	looked int
	left   []Entry // what cannot be read
}

// lookFunc looks at one record. Unreadable is what is wrong with the record
// itself; err ends the pass.
type lookFunc func(ctx context.Context, name Name) (unreadable, err error)

func (p *recordPass) run(ctx context.Context, look lookFunc) error {
	// A backend may leave out of a plain list what it is to delete later.
	pager := p.store.provider.List(ctx, Filter{WithMetadata: true})
	defer pager.Close()
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(p.store.options.MaxConcurrency)
	listed := p.each(groupCtx, pager, func(e Entry, name Name) {
		group.Go(func() error { return p.one(groupCtx, e, name, look) })
	})
	// What went wrong with a record ended the list, too.
	if err := group.Wait(); err != nil {
		return err
	}
	return listed
}

// each visits the entries that have an id. The others are something of the
// store's that nobody can tell.
func (p *recordPass) each(ctx context.Context, pager Pager, visit func(Entry, Name)) error {
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
			switch {
			case err == nil:
				visit(e, name)
			case e.Err != nil:
				p.report(e.ID, e.Err)
			default:
				p.report(e.ID, err)
			}
		}
	}
}

// one looks at one record, again if another writer came between.
func (p *recordPass) one(ctx context.Context, e Entry, name Name, look lookFunc) error {
	for attempt := newAttempts(); ; {
		unreadable, err := look(ctx, name)
		switch {
		case err == nil && unreadable == errGone:
			// A list that cannot tell an entry may name what is not there.
			p.report(name.ID(), e.Err)
			return nil
		case err == nil:
			p.report(name.ID(), unreadable)
			return nil
		case errors.Is(err, errSuperseded):
			return err
		case errors.Is(err, ErrConflict) && !errors.Is(err, ErrKeyChanged):
			err = attempt.next(ctx, err)
		}
		if err != nil {
			return p.store.locate(err, "rotate", name.ID())
		}
	}
}

// errGone is what a look finds if there is no record.
var errGone = errors.New("there is none")

func (p *recordPass) report(id ID, unreadable error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if unreadable != nil {
		p.left = append(p.left, Entry{ID: id, Err: p.store.locate(unreadable, "rotate", id)})
	}
	p.looked++
	if p.progress != nil {
		p.progress(p.looked)
	}
}

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
	// Only a keyring that is still the current one can say so.
	ring, err := p.store.reloadKeyring(ctx)
	if err == nil && ring.current.ID() != p.ring.current.ID() {
		err = errSuperseded
	}
	return r, key, unreadable, err
}

// unwilling returns what cannot be read and is not to be left as it is.
func (p *recordPass) unwilling(leave []string) []Entry {
	return slices.DeleteFunc(slices.Clone(p.left), func(e Entry) bool { return slices.Contains(leave, string(e.ID)) })
}

// refuse names what keeps an operation from its end.
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

// whatIsWrong returns an error's message without the operation and the hint, cut
// to a length at which several can be shown.
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
