//go:build !linux

package process

// MemoryDir returns "": the system has no directory whose files are surely on no
// disk.
func MemoryDir(func(string) string) string { return "" }

// InMemory returns false: whether files are on no disk is not told here.
func InMemory(string) bool { return false }
