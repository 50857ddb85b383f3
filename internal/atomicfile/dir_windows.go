package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/windows"
)

// handle is an os.Root: it opens names without following a link out of the
// directory, and shares files so that they can be deleted while somebody reads
// them.
type handle struct {
	root *os.Root

	// A file that is open cannot be replaced, even by ourselves: readers hold
	// this lock while they have a file open, and writers while they rename.
	readers sync.RWMutex
}

// busyLimit is how long a reader tries: a file that is being replaced is
// refused for a moment.
const busyLimit = 50 * time.Millisecond

// Open opens the directory at path.
func Open(path string) (*Dir, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	d := &Dir{path: path}
	d.root = root
	return d, nil
}

// Close gives the handle back.
func (d *Dir) Close() error { return d.root.Close() }

// Stat examines the directory itself.
func (d *Dir) Stat() (Stat, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return Stat{}, err
	}
	defer f.Close()
	return statFile(f)
}

// StatPath examines the file at path, following symbolic links.
func StatPath(path string) (Stat, error) {
	f, err := os.Open(path)
	if err != nil {
		return Stat{}, err
	}
	defer f.Close()
	return statFile(f)
}

// LstatPath examines the file at path. It does not follow a link in the last
// place.
func LstatPath(path string) (Stat, error) {
	d, err := Open(filepath.Dir(path))
	if err != nil {
		return Stat{}, err
	}
	defer d.Close()
	return d.Lstat(filepath.Base(path))
}

// Lstat examines the file of that name and does not follow a link.
func (d *Dir) Lstat(name string) (Stat, error) {
	var stat Stat
	err := persist(busyLimit, func() error {
		d.readers.RLock()
		defer d.readers.RUnlock()
		f, now, err := d.open(name)
		if f != nil {
			_ = f.Close() // nothing was written
		}
		stat = now
		return err
	})
	return stat, d.locate("lstat", name, err)
}

// Read returns the content of the regular file of that name, of at most limit
// bytes, and its Stat. Errors: NotRegularError, TooLargeError.
func (d *Dir) Read(name string, limit int64) ([]byte, Stat, error) {
	var data []byte
	var stat Stat
	err := persist(busyLimit, func() (err error) {
		d.readers.RLock()
		defer d.readers.RUnlock()
		data, stat, err = d.read(name, limit)
		return err
	})
	return data, stat, d.locate("read", name, err)
}

func (d *Dir) read(name string, limit int64) ([]byte, Stat, error) {
	f, stat, err := d.open(name)
	if err != nil {
		return nil, Stat{}, err
	}
	if f == nil {
		return nil, stat, &NotRegularError{stat.Mode}
	}
	defer f.Close()
	if stat.Size > limit {
		return nil, stat, &TooLargeError{stat.Size}
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	return data, stat, err
}

// open opens the file under name. It returns nil if that is not a regular file.
func (d *Dir) open(name string) (*os.File, Stat, error) {
	info, err := d.root.Lstat(name)
	if err != nil {
		return nil, Stat{}, err
	}
	if !info.Mode().IsRegular() {
		return nil, Stat{Mode: info.Mode(), Mtime: info.ModTime().UnixNano()}, nil
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, Stat{}, err
	}
	stat, err := statFile(f)
	if err != nil {
		_ = f.Close()
		return nil, Stat{}, err
	}
	return f, stat, nil
}

func statFile(f *os.File) (Stat, error) {
	info, err := f.Stat()
	if err != nil {
		return Stat{}, err
	}
	h := windows.Handle(f.Fd())
	var by windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(h, &by); err != nil {
		return Stat{}, &os.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	granted, err := access(h)
	if err != nil {
		return Stat{}, &os.PathError{Op: "GetSecurityInfo", Path: f.Name(), Err: err}
	}
	return Stat{
		Mode:    info.Mode(),
		Size:    info.Size(),
		Links:   uint64(by.NumberOfLinks),
		ID:      FileID{uint64(by.VolumeSerialNumber), uint64(by.FileIndexHigh)<<32 | uint64(by.FileIndexLow)},
		Mtime:   info.ModTime().UnixNano(),
		granted: granted,
	}, nil
}

// locate gives an error the whole path: os.Root knows the last element alone.
func (d *Dir) locate(op, name string, err error) error {
	if err == nil {
		return nil
	}
	var p *os.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return &os.PathError{Op: op, Path: d.join(name), Err: err}
}

// Remove removes the name.
func (d *Dir) Remove(name string) error {
	err := persist(busyLimit, func() error { return d.root.Remove(name) })
	return d.locate("remove", name, err)
}

// Windows has no flushing of directories: renames are written through.
func (d *Dir) flushHandle() error { return nil }

// Names starts at the beginning.
func (d *Dir) Names() (*Names, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, d.locate("open", ".", err)
	}
	return &Names{file: f}, nil
}

// MayWrite cannot know on Windows before somebody tries.
func MayWrite(string) error { return nil }
