//go:build !linux && !darwin

package atomicfile

// NetworkFileSystem returns "" on this platform, where nothing finds it out.
func (d *Dir) NetworkFileSystem() string { return "" }
