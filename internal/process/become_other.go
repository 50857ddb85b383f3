//go:build !unix

package process

import "errors"

// CanBecome reports whether [Become] replaces the process.
const CanBecome = false

// Become fails: the system cannot replace a process by another program.
func Become(string, []string, []string) error { return errors.ErrUnsupported }

// IsTooLong reports that the system does not accept arguments and environment
// of that size.
func IsTooLong(error) bool { return false }
