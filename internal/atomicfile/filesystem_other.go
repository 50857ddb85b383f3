//go:build !linux

package atomicfile

// fileSystem is empty here: macOS has no call that flushes a file system and
// waits for it, and on Windows only an administrator may do so.
type fileSystem struct{}

func (d *Dir) openFileSystem() (fileSystem, bool) { return fileSystem{}, false }

func (fileSystem) flush() bool { return false }

func (fileSystem) close() {}
