//go:build !linux && !darwin

package process

// Harden does nothing here: the system offers nothing of the kind.
func Harden() {}
