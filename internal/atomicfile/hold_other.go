//go:build !linux

package atomicfile

// Held does nothing here. On Linux it keeps the work of freeing a replaced
// file out of the rename.
type Held struct{}

// Hold does nothing here.
func (d *Dir) Hold(string) Held { return Held{} }

// Release does nothing here.
func (Held) Release() {}
