package nebula_test

import (
	"io/fs"
	"testing"
)

func wantMode(*testing.T, string, fs.FileMode) {} // access lists: see internal/atomicfile
