//go:build unix

package process

import (
	"errors"
	"os"
	"syscall"
)

// CanBecome reports whether [Become] replaces the process.
const CanBecome = true

// Become replaces the process by a program: process id, terminal, signals and
// exit status are the program's own. It returns only after a failure.
//
// Of the signals that were ignored when this process began, the program ignores
// HUP, INT, TSTP, TTIN and TTOU; the Go runtime resets the others.
func Become(path string, argv, environ []string) error {
	for {
		err := syscall.Exec(path, argv, environ)
		if !errors.Is(err, syscall.EINTR) {
			return &os.PathError{Op: "execute", Path: path, Err: err}
		}
	}
}

// IsTooLong reports that the system does not accept arguments and environment
// of that size.
func IsTooLong(err error) bool { return errors.Is(err, syscall.E2BIG) }
