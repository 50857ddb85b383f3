package transfer

import (
	"context"
	"errors"

	"github.com/nebula-credential/nebula"
)

// RenameOptions goes with [Rename].
type RenameOptions struct {
	Overwrite bool // whatever is there under the new id
	Keep      bool // the old one: a copy under another id
}

// Rename gives a credential another id, in one store. It seals it anew, since the
// id is authenticated, with its metadata, and reads it back. Then it deletes the
// old one, on condition that it has not changed meanwhile. It returns the version
// of the new one. If a Rename was interrupted, call it again: if the new id
// already holds the old one's value and metadata, it only deletes the old one.
//
// Errors: ErrUsage if both ids are the same; ErrNotFound if there is no credential
// with the old id; ErrAlreadyExists if the new id is taken; ErrConflict if another
// writer came between, as the message says; those of [nebula.Store.Get] and Put.
func Rename(ctx context.Context, s *nebula.Store, from, to nebula.ID, o RenameOptions) (nebula.Version, error) {
	if from == to {
		return "", &nebula.Error{Kind: nebula.ErrUsage, Op: "rename", ID: from, Message: "the old and the new id are the same"}
	}
	if _, err := to.Name(); err != nil {
		return "", err
	}
	source, err := s.Verify(ctx, from)
	if err != nil {
		return "", err
	}
	c, err := s.OpenRecord(ctx, from, source)
	if err != nil {
		return "", err
	}
	defer c.Secret.Wipe()
	version, err := store(ctx, s, c, to, o)
	if err != nil || o.Keep {
		return version, err
	}
	_, err = s.Delete(ctx, from, nebula.DeleteOptions{IfVersion: source.Version})
	if errors.Is(err, nebula.ErrConflict) {
		err = &nebula.Error{Kind: nebula.ErrConflict, Op: "rename", Provider: s.Describe().Provider, ID: from, Err: err,
			Message: "it was changed meanwhile, and was not deleted; " + string(to) + " has the value of before",
			Hint:    "run it again with --overwrite, which takes the newer one"}
	}
	return version, err
}

// store stores a credential under another id, unless it is there already, and
// reads it back.
func store(ctx context.Context, s *nebula.Store, c nebula.Credential, to nebula.ID, o RenameOptions) (nebula.Version, error) {
	condition := nebula.IfAbsent()
	switch there, err := s.GetSealed(ctx, to); {
	case err == nil:
		equal, err := holds(ctx, s, to, there, c)
		switch {
		case err != nil && !isUnreadable(err):
			return "", err
		case equal && !o.Keep: // an earlier call did it
			return there.Version, nil
		case !o.Overwrite:
			return "", taken(s, to)
		}
		condition = nebula.IfVersion(there.Version)
	case isUnreadable(err) && !o.Overwrite:
		return "", taken(s, to)
	case isUnreadable(err):
		condition = nebula.Precondition{} // its version is not known
	case nebula.KindOf(err) != nebula.ErrNotFound:
		return "", err
	}
	if s.Describe().NoPreconditions {
		condition = nebula.Precondition{}
	}
	moved := c
	moved.ID = to
	// The guard does not know the value's history under this id. The value is the
	// newest of the old id, and the user asked for it.
	_, err := s.Adopt(ctx, moved, nebula.AdoptOptions{Precondition: condition, Older: true})
	if errors.Is(err, nebula.ErrAlreadyExists) {
		return "", taken(s, to)
	}
	if err != nil {
		return "", err
	}
	return readBack(ctx, s, to, c)
}

// holds reports whether a record of another id holds the value and the metadata of
// a credential.
func holds(ctx context.Context, s *nebula.Store, id nebula.ID, r nebula.Record, c nebula.Credential) (bool, error) {
	if !sameMetadata(r.Envelope.Metadata(), c.Metadata) {
		return false, nil
	}
	there, err := s.OpenRecord(ctx, id, r)
	if err != nil {
		return false, err
	}
	defer there.Secret.Wipe()
	return there.Secret.Equal(c.Secret), nil
}

func taken(s *nebula.Store, id nebula.ID) error {
	return &nebula.Error{Kind: nebula.ErrAlreadyExists, Op: "rename", Provider: s.Describe().Provider, ID: id,
		Message: "there is one of that id already", Hint: "to write over it: --overwrite"}
}

func readBack(ctx context.Context, s *nebula.Store, id nebula.ID, c nebula.Credential) (nebula.Version, error) {
	back, err := s.GetSealed(ctx, id)
	if err != nil {
		return "", notVerified(id, err)
	}
	equal, err := holds(ctx, s, id, back, c)
	if err != nil {
		return "", notVerified(id, err)
	}
	if !equal {
		return "", &nebula.Error{Kind: nebula.ErrConflict, Op: "rename", Provider: s.Describe().Provider, ID: id,
			Message: "another writer changed it just after it was written; nothing was deleted"}
	}
	return back.Version, nil
}
