//go:build !linux && !darwin

package process

// Harden does nothing: the system offers nothing of the kind.
func Harden() (undo func()) { return func() {} }
