//go:build !linux

package process

// MemoryDir returns "": the system has no directory whose files are surely on no
// disk.
func MemoryDir(func(string) string) string { return "" }

// InMemory returns false: this system does not say whether files are on a disk.
func InMemory(string) bool { return false }
