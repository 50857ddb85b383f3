package aws

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// Delete implements [provider.Driver]: it schedules the deletion for the end of
// the recovery window. It makes two calls: the first checks that the secret is
// one of ours, and its version.
func (d *driver) Delete(ctx context.Context, name nebula.Name, condition nebula.Precondition) (bool, error) {
	var seen refusals
	existed, err := d.remove(ctx, name, condition, &seen)
	for round := 1; isMoved(err) && round < maxRounds && !seen.last(); round++ {
		existed, err = d.remove(ctx, name, condition, &seen)
	}
	return existed, err
}

func (d *driver) remove(ctx context.Context, name nebula.Name, condition nebula.Precondition, seen *refusals) (bool, error) {
	s, err := d.describe(ctx, name)
	switch {
	case isMissing(err), err == nil && !s.live():
		if provider.IsRepeat(ctx) {
			return true, nil // the earlier attempt did it
		}
		return false, condition.Check("")
	case err != nil:
		return false, err
	}
	if err = d.recognise(ctx, name, s); err != nil {
		return false, err
	}
	if err = condition.Check(nebula.Version(s.current)); err != nil {
		return false, err
	}
	if err = d.schedule(ctx, name); err == nil {
		return true, nil
	}
	if err = d.ofDeleted(ctx, name, err, seen); isMissing(err) {
		return false, condition.Check("") // others deleted it
	}
	return false, err
}

func (d *driver) schedule(ctx context.Context, name nebula.Name) error {
	_, err := change(ctx, d, name, d.client().DeleteSecret, d.deletion(name))
	if err == nil {
		d.writes.restored.Forget(name) // who restores it does not do so for a write that failed
	}
	return err
}

// deletion asks for one at the end of the recovery window.
func (d *driver) deletion(name nebula.Name) *secretsmanager.DeleteSecretInput {
	id, days := d.secretID(name), int64(d.config.RecoveryWindowDays)
	return &secretsmanager.DeleteSecretInput{SecretId: &id, RecoveryWindowInDays: &days}
}

// Restore implements [nebula.Restorer]. It makes two calls.
func (d *driver) Restore(ctx context.Context, name nebula.Name) error {
	d.writes.restored.Forget(name) // from now on it is there for all
	s, err := d.describe(ctx, name)
	switch {
	case isMissing(err), err == nil && s.ending():
		return provider.NothingToRestore()
	case err != nil:
		return err
	}
	claim := s.claim(d.config.SecretPrefix, name)
	if claim == claimedElsewhere {
		return &nebula.Error{Kind: nebula.ErrNotFound, Message: errElsewhere().Message, Hint: errElsewhere().Hint}
	}
	if s.live() {
		return d.restoreLive(ctx, name, s, claim)
	}
	if err = d.unschedule(ctx, name); isMissing(err) {
		return provider.NothingToRestore()
	}
	if err != nil || claim == claimed {
		return err
	}
	err = d.mend(ctx, name, s)
	if errors.Is(err, nebula.ErrCorrupted) { // it is somebody else's
		return d.giveBack(ctx, name, err)
	}
	return err
}

// giveBack deletes a secret of others again that was restored, and returns why.
func (d *driver) giveBack(ctx context.Context, name nebula.Name, why error) error {
	if d.schedule(ctx, name) == nil {
		return why
	}
	said := *d.Explain(name, why)
	said.Message += "; the deleted secret was restored to find that out, and may be readable now"
	said.Hint = "delete it again: aws secretsmanager delete-secret --secret-id " + d.secretID(name)
	return &said
}

// restoreLive handles a credential that is not deleted. If it has lost its
// tags, it restores them.
func (d *driver) restoreLive(ctx context.Context, name nebula.Name, s secret, claim claim) error {
	if claim == unclaimed {
		return d.mend(ctx, name, s)
	}
	if provider.IsRepeat(ctx) {
		return nil // the earlier attempt did it
	}
	return provider.NotDeleted()
}

func (d *driver) unschedule(ctx context.Context, name nebula.Name) error {
	id := d.secretID(name)
	_, err := change(ctx, d, name, d.client().RestoreSecret, &secretsmanager.RestoreSecretInput{SecretId: &id})
	return err
}

const (
	// maxPurge is how long a purge waits if the caller has no deadline. A forced
	// deletion takes about 5 s.
	maxPurge = time.Minute
	// minPoll and maxPoll are the first and the longest pause between two
	// checks whether a secret is gone.
	minPoll = 100 * time.Millisecond
	maxPoll = time.Second
)

// Purge implements [nebula.Purger]: it deletes the secret without a recovery
// window, and waits until it is gone, for a minute at most.
func (d *driver) Purge(ctx context.Context, name nebula.Name) (bool, error) {
	s, err := d.describe(ctx, name)
	switch {
	case isMissing(err):
		return false, nil
	case err != nil:
		return false, err
	}
	if err = d.recognise(ctx, name, s); err != nil {
		return false, err
	}
	id, force := d.secretID(name), true
	_, err = change(ctx, d, name, d.client().DeleteSecret, &secretsmanager.DeleteSecretInput{SecretId: &id, ForceDeleteWithoutRecovery: &force})
	if err != nil && !isMissing(err) {
		return false, err
	}
	return true, d.awaitGone(ctx, name)
}

// awaitGone returns when a secret that is being deleted is gone.
func (d *driver) awaitGone(ctx context.Context, name nebula.Name) error {
	late := d.clock.Now().Add(maxPurge)
	for pause := minPoll; ; pause = min(2*pause, maxPoll) {
		_, err := d.describe(ctx, name)
		if isMissing(err) {
			return nil
		}
		if err != nil {
			return err
		}
		err = d.clock.Sleep(ctx, pause)
		if err == nil && d.clock.Now().After(late) {
			err = context.DeadlineExceeded
		}
		if err != nil {
			return &nebula.Error{Kind: nebula.KindOf(err), Err: err, Message: "ended while AWS is still deleting the secret, which takes some seconds",
				Hint: "try again"}
		}
	}
}
