//go:build !linux

package atomicfile

import "os"

// Next calls visit for the names of the next batch, which are valid during the
// call alone, with their types, and returns io.EOF after the last.
func (n *Names) Next(visit func(name []byte, t os.FileMode)) error {
	const batch = 1024
	entries, err := n.file.ReadDir(batch)
	for _, e := range entries {
		visit([]byte(e.Name()), e.Type())
	}
	if len(entries) > 0 {
		return nil
	}
	return err
}
