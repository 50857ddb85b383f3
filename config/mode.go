package config

import (
	"os"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/secretfile"
)

// writableByOthers says who else can write an open file and how to change that.
// It returns "" if nobody else can.
func writableByOthers(path string, f *os.File) (problem, fix string, err error) {
	problem, err = atomicfile.WritableFile(f)
	if problem != "" {
		fix = unwritable(path, f)
	}
	return problem, fix, err
}

// openSecret opens a file that holds a secret. Only the owner may have access to
// a regular file, and with group its group too. For a pipe, its maker is
// responsible.
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

// FileKind returns the kind of a failure to read or make a file. Missing
// permissions or space are not a wrong configuration.
func FileKind(err error) nebula.Kind { return secretfile.Kind(err) }
