package atomicfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"
)

// Lock excludes other goroutines and processes. Between processes it is the
// lock of a file, which is never removed. That lock belongs to the descriptor,
// which goroutines share, so a channel excludes goroutines.
//
// The zero value is not usable, see [NewLock].
type Lock struct {
	turn chan struct{}
	name string
	file *lockFile // used by the goroutine that has the turn
	dir  *Dir      // where file is
}

// NewLock returns a lock that is the file of that name in a directory. Without
// a name it excludes goroutines only.
func NewLock(name string) *Lock {
	return &Lock{turn: make(chan struct{}, 1), name: name}
}

// opLock is the Op of an *fs.PathError about a lock, see [IsLockError].
const opLock = "lock"

// IsLockError reports whether a file was found and could not be locked, other
// than because somebody else holds its lock.
func IsLockError(err error) bool {
	var onPath *fs.PathError
	return errors.As(err, &onPath) && onPath.Op == opLock
}

// ErrNoLocks says that the file system cannot lock files.
var ErrNoLocks = errors.New("the file system does not lock files")

// errLocked says that somebody else has the lock.
var errLocked = errors.New("locked")

// errReplaced says that the lock's file was replaced by another.
var errReplaced = errors.New("the lock file was replaced")

// Lock waits for the lock in d, for as long as ctx and stop allow: it returns
// the context's error, or os.ErrClosed once stop is closed. An error of which
// [IsLockError] is true is about the file system; it may wrap ErrNoLocks.
func (l *Lock) Lock(ctx context.Context, stop <-chan struct{}, d *Dir) error {
	select {
	case l.turn <- struct{}{}:
	default:
		select {
		case l.turn <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-stop:
			return os.ErrClosed
		}
	}
	if l.name == "" {
		return nil
	}
	if err := l.lockFile(ctx, stop, d); err != nil {
		<-l.turn
		return err
	}
	return nil
}

// Unlock gives the lock to the next.
func (l *Lock) Unlock() {
	if l.file != nil {
		l.file.unlock()
	}
	<-l.turn
}

// Close waits for the holder and closes the file. The lock may be used again.
func (l *Lock) Close() {
	l.turn <- struct{}{}
	l.forget()
	<-l.turn
}

func (l *Lock) forget() {
	if l.file != nil {
		l.file.close()
		l.file, l.dir = nil, nil
	}
}

// lockFile tries until it succeeds. A holder does no more than a check and a
// rename, so trying again soon is cheaper than a thread that waits. It also
// lets the context end the wait.
func (l *Lock) lockFile(ctx context.Context, stop <-chan struct{}, d *Dir) error {
	const minDelay, maxDelay = 50 * time.Microsecond, 2 * time.Millisecond
	var timer *time.Timer
	for delay := minDelay; ; delay = min(2*delay, maxDelay) {
		err := l.try(d)
		if err == nil {
			return nil
		}
		if err != errLocked && err != errReplaced {
			return err
		}
		if timer == nil {
			timer = time.NewTimer(delay)
			defer timer.Stop()
		} else {
			timer.Reset(delay)
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-stop:
			return os.ErrClosed
		}
	}
}

func (l *Lock) try(d *Dir) error {
	if l.dir != d {
		l.forget()
		file, err := openLock(d, l.name)
		if err != nil {
			return err
		}
		l.file, l.dir = file, d
	}
	switch err := l.file.try(); {
	case err == errLocked:
		return err
	case err != nil:
		return &fs.PathError{Op: opLock, Path: d.join(l.name), Err: err}
	}
	// If somebody removed the file, which nobody should, a second process would
	// lock another one.
	if !l.file.isUnder(d, l.name) {
		l.forget()
		return errReplaced
	}
	return nil
}
