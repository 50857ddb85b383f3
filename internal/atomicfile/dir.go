package atomicfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strings"
	"time"
)

// tempPrefix begins the names of temporary files. What follows is random.
const tempPrefix = ".tmp-"

// sparedSuffix ends the name of a temporary file that no sweeper takes while it
// is empty and young. See [Dir.Stage].
const sparedSuffix = "-new"

// sparedFor is how long a writer may take from making such a file to locking
// it.
const sparedFor = time.Minute

// IsTemp reports whether name is that of a temporary file of this package.
func IsTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) &&
		len(strings.TrimSuffix(name, sparedSuffix)) == len(tempPrefix)+2*tempRandom
}

const tempRandom = 16

func tempName() string {
	var b [tempRandom]byte
	_, _ = rand.Read(b[:]) // never fails
	return tempPrefix + hex.EncodeToString(b[:])
}

// Dir is one directory, held open, so that it stays the same even if its path
// leads elsewhere later. Several goroutines may call its methods at once, and
// none after Close. Names are single elements of a path.
type Dir struct {
	path string
	handle
	flusher Flusher
}

// Path returns the path with which the directory was opened.
func (d *Dir) Path() string { return d.path }

// Staged is a temporary file, complete and on the disk, locked against
// sweeping. Call exactly one of Commit and Discard.
type Staged struct {
	dir     *Dir
	name    string
	file    stagedFile
	anyMode bool // see StageAll
}

// errSwept says that a sweeper took a new file before it could be locked.
var errSwept = errors.New("the temporary file was taken away")

// Stage writes data to a new temporary file of mode 0600 and flushes it. After
// an error no file is left.
//
// Sweepers remove temporary files that are not locked, and a file is not locked
// for a moment after it was made. A writer that lost two files to sweepers gives
// the next one a name that they leave alone for a minute: otherwise a writer on
// a slow machine, or one that was stopped in between, could lose them all.
func (d *Dir) Stage(data []byte) (*Staged, error) {
	s, err := d.write(data, false)
	if err != nil {
		return nil, err
	}
	if err := s.flush(); err != nil {
		s.Discard()
		return nil, err
	}
	return s, nil
}

// write makes a temporary file and fills it.
func (d *Dir) write(data []byte, anyMode bool) (*Staged, error) {
	s, err := d.newStaged(anyMode)
	if err != nil {
		return nil, err
	}
	if err := s.write(data); err != nil {
		s.Discard()
		return nil, err
	}
	return s, nil
}

// newStaged makes an empty temporary file.
func (d *Dir) newStaged(anyMode bool) (*Staged, error) {
	const attempts = 10
	var err error
	for attempt := range attempts {
		s := &Staged{dir: d, name: attemptName(attempt), anyMode: anyMode}
		if err = s.create(); err == nil {
			return s, nil
		}
		if err != errSwept && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
	}
	return nil, err
}

// attemptName returns the name of the file of an attempt, of which the first is 0.
func attemptName(attempt int) string {
	const unspared = 2
	if attempt < unspared {
		return tempName()
	}
	return tempName() + sparedSuffix
}

func (s *Staged) write(data []byte) error {
	if err := writeAll(s.file.write, data); err != nil {
		return &os.PathError{Op: "write", Path: s.path(), Err: err}
	}
	return nil
}

// flush returns when the file is on the disk.
func (s *Staged) flush() error {
	if err := s.file.flush(); err != nil {
		return &os.PathError{Op: "fsync", Path: s.path(), Err: err}
	}
	return nil
}

// writeAll goes on after a write that took a part, and gives up when one took
// nothing.
func writeAll(write func([]byte) (int, error), data []byte) error {
	for len(data) > 0 {
		n, err := write(data)
		if err != nil {
			return err
		}
		if n <= 0 {
			return io.ErrShortWrite
		}
		data = data[n:]
	}
	return nil
}

// Commit renames the file to name and replaces the file of that name. The
// change is atomic, and durable only after [Dir.Flush]. After an error the
// temporary file is gone and the old file is still there.
func (s *Staged) Commit(name string) error {
	err := s.rename(name)
	if err != nil {
		s.Discard()
		return err
	}
	// The data is on the disk: closing has nothing more to report.
	s.file.close()
	return nil
}

// CommitNew is [Staged.Commit] for a name that must be free. If it is taken,
// the error is os.ErrExist.
func (s *Staged) CommitNew(name string) error {
	err := s.renameNew(name)
	if err != nil {
		s.Discard()
		return err
	}
	s.file.close()
	return nil
}

// Discard removes the temporary file.
func (s *Staged) Discard() {
	_ = s.dir.Remove(s.name) // if it stays, it is swept later
	s.file.close()
}

func (s *Staged) path() string { return s.dir.join(s.name) }

func (d *Dir) join(name string) string { return d.path + string(os.PathSeparator) + name }

// Flush returns when all changes of names that were made before the call are
// on the disk.
func (d *Dir) Flush() error { return d.flusher.Flush(d.flushHandle) }
