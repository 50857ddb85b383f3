package provider

import (
	"context"

	"github.com/nebula-credential/nebula"
)

// Driver is what every backend must be able to do. The abilities of package
// nebula ([nebula.Restorer], [nebula.Purger], …) are optional: a driver that has
// the method has the ability.
//
// The shell calls a driver only while it is open, with a context that has not
// ended, a valid name, and a record within the size limit. Several goroutines
// call a driver at once. Its errors need no location: the shell adds operation,
// provider and id.
type Driver interface {
	// Store, Retrieve, Delete and Exists do what [nebula.Provider] says.
	// Delete gets neither the keyring nor [nebula.IfAbsent].
	Store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, options nebula.StoreOptions) (nebula.Version, error)
	Retrieve(ctx context.Context, name nebula.Name) (nebula.Record, error)
	Delete(ctx context.Context, name nebula.Name, condition nebula.Precondition) (existed bool, err error)
	Exists(ctx context.Context, name nebula.Name) (bool, error)

	// List does no I/O. Pages that hold something to release implement
	// [io.Closer] too.
	List(filter nebula.Filter) Pages

	// Describe describes the driver, without I/O.
	Describe() nebula.Description

	// Explain turns an error of an SDK, a server or the system into a
	// [nebula.Error] that has err among its causes. The shell calls it for every
	// error that is not a [nebula.Error] yet. A zero name means that the error
	// is not about one credential.
	Explain(name nebula.Name, err error) *nebula.Error
}

// Pages are the pages of one list. Next returns the next entries, possibly
// none, and [io.EOF] after the last. After another error it can be called again
// and goes on from there. One goroutine at a time calls it.
type Pages interface {
	Next(ctx context.Context) ([]nebula.Entry, error)
}

// Opener is a driver that logs in, or holds something that must be released.
type Opener interface {
	// Open makes the driver ready. The context governs the opening only. The
	// shell may call Open again after a failure, and never at the same time as
	// another method.
	Open(ctx context.Context) error

	// Close releases everything, even if Open failed or was never called. The
	// shell calls it once, when no operation is under way, and calls nothing
	// after it.
	Close() error
}

// EarlyChecker is a driver that can be examined before it is opened, and after
// opening failed, to find out why.
type EarlyChecker interface {
	nebula.Checker
	CheckEarly(ctx context.Context) []nebula.Finding
}

// Interrupter is a driver whose operations may wait at length, for example for
// the lock of another process. The shell calls Interrupt when the provider begins
// to close, before it waits for the operations under way: they must give up.
type Interrupter interface {
	Interrupt()
}
