//go:build !linux && !darwin

package atomicfile

// FixedModes is not found out on this platform.
func FixedModes(string) string { return "" }
