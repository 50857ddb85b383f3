package transfer

import (
	"context"
	"errors"
	"sync"

	"github.com/nebula-credential/nebula"
)

// mover deletes the sources of a move. It makes the first deletion alone, and
// then reads the destination again. If the copy went with the source, both are
// one store, behind two addresses, and neither the names nor the backend show it.
type mover struct {
	mu      sync.Mutex
	apart   bool  // the first deletion left the copy where it is
	refused error // why nothing more is deleted
}

// remove deletes a credential at the source, on condition that it has not
// changed since it was copied.
func (m *mover) remove(ctx context.Context, p *Plan, id nebula.ID, source, there nebula.Record) error {
	m.mu.Lock()
	switch {
	case m.refused != nil:
		m.mu.Unlock()
		return m.refused
	case m.apart:
		m.mu.Unlock()
		return p.deleteSource(ctx, id, source)
	}
	defer m.mu.Unlock()
	if err := p.deleteSource(ctx, id, source); err != nil {
		return err
	}
	if m.refused = p.lookAgain(ctx, id, there); m.refused == nil {
		m.apart = true
	}
	return m.refused
}

// Leaving returns the ids of the credentials that a move removes from the source.
func (p *Plan) Leaving() []nebula.ID {
	var ids []nebula.ID
	for _, item := range p.Items {
		if item.State == New || item.State == Same || item.State == Differs && p.options.Overwrite {
			ids = append(ids, item.ID)
		}
	}
	return ids
}

func (p *Plan) deleteSource(ctx context.Context, id nebula.ID, source nebula.Record) error {
	_, err := p.from.Delete(ctx, id, nebula.DeleteOptions{IfVersion: source.Version})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nebula.ErrConflict):
		return &nebula.Error{Kind: nebula.ErrConflict, Op: "copy", Provider: p.from.Describe().Provider, ID: id, Err: err,
			Message: "it was copied, and the source has been changed since: it was not deleted",
			Hint:    "run it again with --overwrite, which copies the newer one"}
	}
	return &nebula.Error{Kind: nebula.KindOf(err), Op: "copy", Provider: p.from.Describe().Provider, ID: id, Err: err,
		Message: "it was copied, and could not be deleted at the source: " + messageOf(err), Hint: "run it again, which deletes it"}
}

// lookAgain reads the destination after the first deletion. If the copy is gone,
// it puts it back.
func (p *Plan) lookAgain(ctx context.Context, id nebula.ID, there nebula.Record) error {
	_, err := p.to.GetSealed(ctx, id)
	switch {
	case err == nil:
		return nil
	case nebula.KindOf(err) != nebula.ErrNotFound:
		return &nebula.Error{Kind: nebula.KindOf(err), Op: "copy", Provider: p.to.Describe().Provider, ID: id, Err: errors.Join(errStores, err),
			Message: "its source was deleted, and whether the copy is still there cannot be read: " + messageOf(err) + ". Nothing more is deleted",
			Hint:    "look whether it is there; if not, source and destination are one store, and it comes back with: nebula restore ID"}
	}
	o := nebula.AdoptOptions{Precondition: nebula.IfAbsent(), Older: true}
	if p.to.Describe().NoPreconditions {
		o.Precondition = nebula.Precondition{}
	}
	back, err := p.to.PutSealed(ctx, id, there.Envelope, o)
	if err == nil {
		var now nebula.Record
		if now, err = p.to.GetSealed(ctx, id); err == nil && !unchanged(now, back) {
			err = &nebula.Error{Kind: nebula.ErrConflict, Message: "another writer came between"}
		}
	}
	e := &nebula.Error{Kind: nebula.ErrUsage, Op: "copy", Provider: p.to.Describe().Provider, ID: id, Err: errors.Join(errStores, err),
		Message: "source and destination are one store behind two addresses: when the source was deleted, the copy went with it. It was put back, and nothing more is deleted",
		Hint:    "nothing needs to be done; look at the addresses of the two"}
	if err != nil {
		e.Kind = nebula.KindOf(err)
		e.Message = "source and destination are one store behind two addresses: when the source was deleted, the copy went with it, AND IT COULD NOT BE PUT BACK: " + messageOf(err)
		e.Hint = "bring it back with: nebula restore " + string(id)
	}
	return e
}
