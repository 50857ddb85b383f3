//go:build !linux && !darwin

package atomicfile

// FixedModes returns "" on this platform, where nothing finds it out.
func FixedModes(string) string { return "" }
