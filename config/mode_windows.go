package config

import (
	"os"

	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// unwritable returns the command after which only the owner can write a file.
func unwritable(path string, _ *os.File) string { return atomicfile.Restrict(path) }

// mayWrite reports true: it does not evaluate access lists.
func mayWrite(string) bool { return true }

// isBelowFile reports false: Windows only says that such a path does not exist.
func isBelowFile(error) bool { return false }
