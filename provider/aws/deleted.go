package aws

import (
	"context"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/awsapi"
	"github.com/nebula-credential/nebula/provider"
)

// absent writes if there is no secret, or a deleted one. A repetition asks first:
// if an earlier attempt added the version, AWS would report success now, whether
// the version became the current one or not.
func (w *write) absent(ctx context.Context) error {
	restored, begun := w.d.writes.restored.Get(w.name)
	asksFirst := begun || provider.IsRepeat(ctx)
	var err error
	if !asksFirst {
		err = w.create(ctx)
		if !awsapi.HasCode(err, codeExists) && !awsapi.HasCode(err, codeInvalidRequest) {
			return err
		}
	}
	s, failed := w.d.describe(ctx, w.name)
	w.refusals.add(s)
	switch {
	case isMissing(failed) && asksFirst:
		return asMoved(w.create(ctx))
	case isMissing(failed):
		return movedError{failed}
	case failed != nil:
		return failed
	case w.wasDone(s):
		return w.setTags(ctx, s.tags)
	case s.ending():
		return w.awaitGone(ctx)
	case !s.live():
		w.forgetCreation(asksFirst)
		return w.overDeleted(ctx, s)
	case begun && s.current == restored:
		return w.overRestored(ctx, s)
	case asksFirst, awsapi.HasCode(err, codeExists):
		w.d.writes.restored.Forget(w.name)
		return w.settleRepeat(ctx, s, restored, &nebula.Error{Kind: nebula.ErrAlreadyExists, Message: "there is one already", Err: err})
	}
	return movedError{err}
}

// forgetCreation drops the token of a creation that AWS refused, because a write
// over a deleted secret may change tags.
func (w *write) forgetCreation(repeated bool) {
	if !repeated {
		w.token = ""
	}
}

// awaitGone waits until the name is free, to begin again then.
func (w *write) awaitGone(ctx context.Context) error {
	if err := w.d.awaitGone(ctx, w.name); err != nil {
		return err
	}
	return movedError{provider.NotFound()}
}

// overDeleted writes over a deleted secret. AWS refuses writes to one, so it
// restores the secret first. If no tag shows whose it is, only the restored
// value does.
func (w *write) overDeleted(ctx context.Context, s secret) error {
	claim := s.claim(w.d.config.SecretPrefix, w.name)
	if claim == claimedElsewhere {
		return errElsewhere()
	}
	w.restored = &s.current
	w.d.writes.restored.Note(w.name, s.current)
	if err := w.d.unschedule(ctx, w.name); err != nil {
		return asMoved(err)
	}
	if claim == unclaimed {
		if err := w.d.isRecord(ctx, w.name); err != nil {
			return err
		}
	}
	return w.overRestored(ctx, s)
}

// overRestored writes over the version of a secret that was restored for it.
func (w *write) overRestored(ctx context.Context, s secret) error {
	w.restored = &s.current
	var err error
	if w.condition.IsAbsent() && s.current != "" {
		err = w.replace(ctx, s.current, s.tags)
	} else {
		w.choose(s.tags, nil)
		err = asMoved(w.put(ctx))
	}
	if err != nil {
		return err
	}
	return w.setTags(ctx, s.tags)
}

// maxUndo limits the time of cleaning up after a write that failed.
const maxUndo = 2 * time.Second

// undo cleans up after a write that restored a secret, and returns how the write
// ended. If it failed and nobody else wrote since, undo deletes the secret
// again, so that the old value does not stay. The caller waits for that as long
// as its context allows. The next change of the name waits in any case. If the
// deletion fails too, a repetition of the write goes on from there.
func (w *write) undo(ctx context.Context, err error) error {
	if w.restored == nil {
		return err
	}
	if err == nil {
		w.d.writes.restored.Forget(w.name)
		return nil
	}
	version, undone := *w.restored, make(chan bool, 1)
	w.d.changes.Beside(ctx, w.name, maxUndo, func(ctx context.Context) {
		failed := w.d.deleteAgain(ctx, w.name, version)
		done := failed == nil || isMissing(failed)
		if done {
			w.d.writes.restored.Forget(w.name)
		}
		undone <- done
	})
	select {
	case done := <-undone:
		if done {
			return err
		}
	default:
	}
	said := *w.d.Explain(w.name, err)
	said.Message += "; the deleted credential was restored to be written over, and may be readable now"
	said.Hint = "delete it again, or store it again"
	return &said
}

// deleteAgain deletes a secret if that version is still the current one.
func (d *driver) deleteAgain(ctx context.Context, name nebula.Name, version string) error {
	s, err := d.describe(ctx, name)
	if err != nil || !s.live() || s.current != version {
		return err
	}
	_, err = d.client().DeleteSecret(ctx, d.deletion(name))
	return err
}
