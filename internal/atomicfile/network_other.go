//go:build !linux && !darwin

package atomicfile

// NetworkFileSystem is not found out on this platform.
func (d *Dir) NetworkFileSystem() string { return "" }
