package provider

import (
	"context"

	"github.com/nebula-credential/nebula"
)

// Driver is what a backend has to be able to do. The abilities of package
// nebula ([nebula.Restorer], [nebula.Purger], …) come on top: a driver that has
// the method has the ability.
//
// The shell calls a driver only while it is open, with a context that has not
// ended, a name that is one, and a record that is not too large. Drivers are
// called by several goroutines at once. Their errors need no location: the
// shell adds operation, provider and id.
type Driver interface {
	// Store, Retrieve, Delete and Exists do what [nebula.Provider] says.
	// Delete gets neither the keyring nor [nebula.IfAbsent].
	Store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, options nebula.StoreOptions) (nebula.Version, error)
	Retrieve(ctx context.Context, name nebula.Name) (nebula.Record, error)
	Delete(ctx context.Context, name nebula.Name, condition nebula.Precondition) (existed bool, err error)
	Exists(ctx context.Context, name nebula.Name) (bool, error)

	// List does no I/O. Pages that have something to release are closers too:
	// see [io.Closer].
	List(filter nebula.Filter) Pages

	// Describe tells what the driver is, without I/O.
	Describe() nebula.Description

	// Explain says what an error means that came from below: of an SDK, a
	// server, the system. It is asked for errors that are no [nebula.Error]
	// yet, and keeps err among the causes. A zero name says that no credential
	// is meant.
	Explain(name nebula.Name, err error) *nebula.Error
}

// Pages are the pages of one list. Next returns the next entries, possibly
// none, and [io.EOF] after the last. After another error it can be called again
// and goes on from there. One goroutine at a time calls it.
type Pages interface {
	Next(ctx context.Context) ([]nebula.Entry, error)
}

// Opener is a driver that logs in, or holds something that has to be released.
type Opener interface {
	// Open makes the driver ready. The context governs the opening only. It is
	// called again after a failure, and never at the same time as anything else.
	Open(ctx context.Context) error

	// Close releases everything, also after Open failed or was never called.
	// No operation is under way, and none comes after. It is called once.
	Close() error
}

// EarlyChecker is a driver that can be examined before it is opened, and after
// that failed: it says then what is in the way.
type EarlyChecker interface {
	nebula.Checker
	CheckEarly(ctx context.Context) []nebula.Finding
}

// Interrupter is a driver whose operations may wait at length for somebody
// else, for a lock for example. Interrupt is called when the provider is about
// to close, before the operations under way have ended: they give up waiting.
type Interrupter interface {
	Interrupt()
}
