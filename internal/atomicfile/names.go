package atomicfile

import "os"

// Names goes through the names of a directory, a batch at a time and in no
// order. It has a place of its own, independent of other readers.
type Names struct {
	file *os.File
	buf  []byte
}

// Close gives the descriptor back.
func (n *Names) Close() error { return n.file.Close() }

// typeUnknown stands for a type that the directory does not tell.
const typeUnknown = os.ModeIrregular

// IsKnown reports whether t, given by [Names.Next], says what the file is.
func IsKnown(t os.FileMode) bool { return t != typeUnknown }
