package atomicfile

import (
	"errors"
	"os"
	"syscall"
)

// WideError is the failure of a file with a secret that others can read or write.
type WideError struct{ Problem, Fix string }

// Error returns the problem.
func (e *WideError) Error() string { return e.Problem }

var errNotRegular = errors.New("not a regular file")

// OpenPrivate opens a regular file for reading, if no one but its owner may read
// or write it; with group, the members of its group may read it.
func OpenPrivate(path string, group bool) (*os.File, error) {
	// Without O_NONBLOCK, opening a FIFO waits for its writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNotRegular
	}
	if err == nil {
		err = CheckPrivate(path, f, group)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// CheckPrivate returns a [WideError] if others may read or write an open file. The
// user cannot change a file that is mounted for a group, and must allow it.
func CheckPrivate(path string, f *os.File, group bool) error {
	problem, err := TooWideFile(f, group)
	if err != nil || problem == "" {
		return err
	}
	wide := &WideError{Problem: problem, Fix: Restrict(path)}
	if forGroup, err := TooWideFile(f, true); err == nil && forGroup == "" {
		wide.Fix += "; where it is mounted for its group: allow_group_read = true in [key], or NEBULA_KEY_ALLOW_GROUP_READ=true"
	}
	return wide
}

// Explain says why a file cannot be used, without its path, and returns the
// command that changes that, or "".
func Explain(path string, err error) (reason, fix string) {
	if wide := new(WideError); errors.As(err, &wide) {
		return wide.Problem, wide.Fix
	}
	reason = Reason(err)
	fact, fix := Denial(path, err)
	if fact != "" {
		reason += "; " + fact
	}
	return reason, fix
}
