package azure

import (
	"context"
	"errors"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// deleteAgain deletes a secret that was recovered for a write that then failed,
// and returns the failure with what is stored now. It runs in the background: a
// retry of the call takes the recovered secret over, and the caller does not
// wait beyond its deadline.
func (d *driver) deleteAgain(ctx context.Context, name nebula.Name, version nebula.Version, cause error) error {
	e := *d.explain(cause)
	passing := ctx.Err() == nil && provider.Transient(&e) // a retry may come
	deletion := d.recoveries.undo(name, version, func(ctx context.Context) error {
		if passing {
			d.recoveries.pause(ctx, d.clock)
		}
		err := d.deleteRecovered(ctx, name, version)
		if err != nil && !errors.Is(err, errOvertaken) && ctx.Err() == nil {
			d.warnings.Warn("a deleted credential was recovered to be written over, and could not be deleted again", "id", name.String())
		}
		return err
	})
	ended := false
	if !passing {
		select {
		case <-deletion.ended:
			ended = true
		case <-ctx.Done():
		}
	}
	if ended && errors.Is(deletion.err, errOvertaken) {
		return cause
	}
	const recovered = "; the deleted credential had been recovered to be written over, "
	switch {
	case !ended:
		e.Message += recovered + "and is being deleted again"
	case deletion.err == nil:
		e.Message += recovered + "and was deleted again"
	default:
		e.Message += recovered + "and is live again with its old value: " + d.explain(deletion.err).Message
		e.Hint = "delete it: az keyvault secret delete --vault-name " + d.vault.Name() + " --name " + d.names.secret(name)
		if !name.IsKeyring() {
			e.Hint = "delete it: nebula delete " + name.String()
		}
	}
	return &e
}

// errOvertaken says that somebody wrote over the recovered secret, or is about to.
var errOvertaken = errors.New("another version is the current one")

// deleteRecovered deletes the recovered secret, unless somebody wrote since. A
// recovery takes some seconds, in which nothing can be deleted.
func (d *driver) deleteRecovered(ctx context.Context, name nebula.Name, version nebula.Version) error {
	for until := d.clock.Now().Add(maxUndo); ; {
		err := d.tryDeleteRecovered(ctx, name, version)
		if err == nil {
			d.asked.Forget(name)
			return nil
		}
		waits, late := isMoving(err) || errors.Is(err, moving{}), !d.clock.Now().Before(until)
		switch {
		case waits && late:
			return errNotDone(maxUndo, err)
		case late || !waits && !provider.Transient(d.explain(err)):
			return err
		}
		if stopped := d.clock.Sleep(ctx, pollEvery); stopped != nil {
			return stopped
		}
	}
}

func (d *driver) tryDeleteRecovered(ctx context.Context, name nebula.Name, version nebula.Version) error {
	s, err := inOrder(ctx, d, name, func(ctx context.Context) (secret, error) { return d.look(ctx, name) })
	switch {
	case err != nil:
		return err
	case s.exists && s.version != "" && s.version != version:
		return errOvertaken
	case s.exists:
		_, err := d.remove(ctx, name)
		return err
	}
	deleted, err := d.lookDeleted(ctx, name)
	if err == nil && !deleted.exists {
		return errMoving()
	}
	return err
}
