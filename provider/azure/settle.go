package azure

import (
	"context"
	"errors"
	"time"

	"github.com/nebula-credential/nebula"
)

// Key Vault deletes, recovers and purges in the background, and does not report
// the end. We recorded 2 to 10 s.
const (
	pollEvery = time.Second

	// maxWait is the longest wait if the caller has no deadline.
	maxWait = 10 * time.Minute

	// confirmAfter is the time from writing a keyring to reading it back: more
	// than a writer takes from its check to its write.
	confirmAfter = 10 * time.Second

	// maxUndo is the longest wait for a recovery that is to be undone.
	maxUndo = 30 * time.Second

	// retryGrace is how long a retry may take to go on with a secret that a
	// failed write recovered. It is longer than the default pauses of the
	// policy.
	retryGrace = 3 * time.Second

	// unseen is how long a deletion by somebody else may stay invisible while
	// the credential is gone already.
	unseen = 10 * time.Second
)

// moving is the error of a call that must be made again when Key Vault has
// finished its work on the name.
type moving struct{}

func (moving) Error() string { return "Key Vault is not done yet" }

func errMoving() error { return moving{} }

// settled makes the call until Key Vault has finished its work on the name, as
// long as the deadline allows.
func (d *driver) settled(ctx context.Context, call func(context.Context) error) error {
	end := d.clock.Now().Add(maxWait)
	for {
		err := call(ctx)
		if !isMoving(err) && !errors.Is(err, moving{}) {
			return err
		}
		if d.clock.Now().After(end) {
			return errNotDone(maxWait, err)
		}
		if ended := d.clock.Sleep(ctx, pollEvery); ended != nil {
			return errStillMoving(ended, err)
		}
	}
}

// errNotDone is the error if Key Vault takes longer than we wait.
func errNotDone(after time.Duration, cause error) error {
	return &nebula.Error{Kind: nebula.ErrConflict, Message: "Key Vault was not done with the secret after " + after.String(), Err: cause}
}

// errStillMoving is the error if the context ended first.
func errStillMoving(ended, cause error) error {
	kind := nebula.KindOf(ended)
	message := "Key Vault is still deleting, recovering or purging the secret"
	if kind == nebula.ErrInterrupted {
		message = "cancelled while " + message
	}
	return &nebula.Error{Kind: kind, Message: message, Hint: "allow more time: up to a minute is usual", Err: errors.Join(ended, cause)}
}
