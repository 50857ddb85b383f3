package config

import (
	"os"

	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// unwritable returns the command that leaves a file to its owner.
func unwritable(path string, _ *os.File) string { return atomicfile.Restrict(path) }
