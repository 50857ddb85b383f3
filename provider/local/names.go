package local

import (
	"bytes"

	"github.com/nebula-credential/nebula"
)

// Names beside the records. None of them is an id with an extension.
const lockName = ".lock"

// naming maps names to files and back: <name>.<extension>. The keyring's name
// is ".keyring". Ids are valid file names on every platform.
type naming struct {
	suffix string // with its dot
}

// file returns the file of a record.
func (n naming) file(name nebula.Name) string { return name.String() + n.suffix }

// stem returns the part of a file's name that may be an id, which
// [nebula.ParseID] decides. No id begins with a dot.
func (n naming) stem(file []byte) (stem []byte, ok bool) {
	stem, ok = bytes.CutSuffix(file, []byte(n.suffix))
	return stem, ok && file[0] != '.'
}

// id is the inverse of file, for credentials.
func (n naming) id(file string) (nebula.ID, bool) {
	stem, ok := n.stem([]byte(file))
	if !ok {
		return "", false
	}
	id, err := nebula.ParseID(string(stem))
	return id, err == nil
}

// swapCase returns the name in another case, or false if it has no letters.
func swapCase(s string) (string, bool) {
	swapped := []byte(s) // not runes: a name need not be UTF-8
	for i, c := range swapped {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			swapped[i] = c ^ ' '
		}
	}
	return string(swapped), string(swapped) != s
}
