package statefile

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// Snapshot is the content of a file when it was read.
type Snapshot[L any] struct {
	Lines   map[string]L // by their keys; nobody changes them
	Missing bool         // there was no file
	Number  uint64       // another one if the content is another

	sum     [sha256.Size]byte // of the content
	stat    atomicfile.Stat
	settled bool // a change since would show in the stat
}

// Current returns the present content of the file. It examines the file each
// time, and reads it only if it may have changed. All errors are of type
// [*Error].
func (f *File[L]) Current() (*Snapshot[L], error) {
	if last := f.last.Load(); last != nil && last.settled {
		if stat, err := atomicfile.LstatPath(f.path); err == nil && stat == last.stat {
			return last, nil
		}
	}
	return f.shared()
}

// shared is load. One load serves all that wait.
func (f *File[L]) shared() (*Snapshot[L], error) {
	r := f.loads.join(nil, func(r *round[L]) { r.snapshot, r.err = f.load() })
	return r.snapshot, r.err
}

// load reads the file. It runs once at a time.
func (f *File[L]) load() (*Snapshot[L], error) {
	begun := time.Now()
	data, stat, err := f.readAt(filepath.Dir(f.path))
	missing := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
	if err != nil && !missing {
		return nil, err
	}
	s := &Snapshot[L]{Missing: missing, sum: sha256.Sum256(data), stat: stat, settled: !missing && stat.Settled(begun)}
	last := f.last.Load()
	if last != nil && last.sum == s.sum && last.Missing == missing {
		s.Lines, s.Number = last.Lines, last.Number
	} else if s.Lines, err = f.decode(data); err != nil {
		return nil, err
	} else if last != nil {
		s.Number = last.Number + 1
	}
	f.last.Store(s)
	return s, nil
}

func (f *File[L]) readAt(parent string) ([]byte, atomicfile.Stat, error) {
	dir, err := atomicfile.Open(parent)
	if err != nil {
		return nil, atomicfile.Stat{}, f.fail(err)
	}
	defer dir.Close()
	return f.read(dir)
}
