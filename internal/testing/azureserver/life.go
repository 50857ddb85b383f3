package azureserver

import (
	"net/http"
	"time"
)

// state is the state of a name.
type state string

const (
	live         state = "live"
	beingDeleted state = "being deleted"
	deleted      state = "deleted"
	recovering   state = "being recovered"            // cannot be read yet
	unwritable   state = "being recovered, but there" // can be read, cannot be written
	beingPurged  state = "being purged"               // the name is not free yet
	absent       state = "absent"
)

// life is the history of a name: the last request (live, deleted, recovering or
// beingPurged), and the times when the states that follow from it begin. Secrets and
// keys both have one.
type life struct {
	asked     state
	done      time.Time // when the change is finished
	writable  time.Time // when writes work again after a recovery
	deletedAt time.Time
	purgeAt   time.Time
}

// state returns the present state: live, being deleted, deleted, ….
func (c *life) state(now time.Time) state {
	reached := !now.Before(c.done)
	switch {
	case c.asked == deleted && !now.Before(c.purgeAt):
		return absent
	case c.asked == deleted && !reached:
		return beingDeleted
	case c.asked == recovering && !reached:
		return recovering
	case c.asked == recovering && now.Before(c.writable):
		return unwritable
	case c.asked == recovering:
		return live
	case c.asked == beingPurged && reached:
		return absent
	}
	return c.asked
}

// readable reports whether the secret or key can be read.
func (s state) readable() bool { return s == live || s == unwritable }

func (v *Vault) startDelete(c *life) {
	now := v.server.now()
	c.asked, c.done, c.deletedAt = deleted, now.Add(v.delays.Delete), now
	c.purgeAt = now.Truncate(time.Second).Add(time.Duration(v.retention) * 24 * time.Hour)
}

func (v *Vault) startRecover(c *life) {
	c.asked, c.done = recovering, v.server.now().Add(v.delays.Recover)
	c.writable = c.done.Add(v.delays.RecoverWrite)
}

func (v *Vault) startPurge(c *life) {
	c.asked, c.done = beingPurged, v.server.now().Add(v.delays.Purge)
}

// mayWrite refuses a new version while the name changes its state, or if it is deleted.
func mayWrite(t target, s state) *apiError {
	switch s {
	case beingDeleted:
		return conflict("ObjectIsBeingDeleted", t)
	case deleted:
		return conflict("ObjectIsDeletedButRecoverable", t)
	case recovering, unwritable:
		return conflict("ObjectIsBeingRecovered", t)
	case beingPurged: // inferred from RestoreSecret
		return conflict("", t)
	}
	return nil
}

// mayDelete refuses to delete what is not there, or is being recovered.
func mayDelete(t target, s state) *apiError {
	switch {
	case s == recovering: // inferred
		return conflict("ObjectIsBeingRecovered", t)
	case !s.readable():
		return notFound(t)
	}
	return nil
}

// mayShowDeleted has two answers if the name is not deleted: one while it changes its
// state, and one if there is nothing.
func mayShowDeleted(t target, s state) *apiError {
	switch s {
	case deleted:
		return nil
	case beingDeleted, recovering, unwritable: // the last one is inferred
		return deletedNotFound(t)
	}
	return notFound(t)
}

// mayLeave refuses to recover or to purge what is not deleted. For a recovery, only the
// answers for a deleted name and for none are recorded; the others are those of a
// purge.
func mayLeave(t target, s state) *apiError {
	switch s {
	case deleted:
		return nil
	case beingDeleted:
		return conflict("ObjectIsBeingDeleted", t)
	case recovering:
		return conflict("ObjectIsBeingRecovered", t)
	case beingPurged:
		return conflict("", t)
	}
	return notFound(t)
}

// purge begins to purge a deleted name.
func (v *Vault) purge(c *life) *apiError {
	if v.protected {
		return &apiError{status: http.StatusForbidden, code: "Forbidden",
			message: "Operation purge not allowed: the vault protects what was deleted until its time is over. " + v.place()}
	}
	v.startPurge(c)
	return nil
}
