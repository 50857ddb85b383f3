package config

import (
	"os"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/secretfile"
)

// writableByOthers says who else can write an open file and how to mend that,
// or nothing.
func writableByOthers(path string, f *os.File) (problem, fix string, err error) {
	problem, err = atomicfile.WritableFile(f)
	if problem != "" {
		fix = unwritable(path, f)
	}
	return problem, fix, err
}

// openSecret opens a file that holds a secret. A regular one must be open to its
// owner alone, and with group to its group; a pipe belongs to who made it.
func openSecret(path string, group bool) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		err = atomicfile.CheckPrivate(path, f, group)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// FileKind tells of what kind it is that a file cannot be read or made: what
// permissions or space have to do with it is not the fault of who named it.
func FileKind(err error) nebula.Kind { return secretfile.Kind(err) }
