package atomicfile

import (
	"io"
	"os"

	"golang.org/x/sys/windows"
)

// handle is an os.Root: it opens what it is given without following a link out
// of the directory, and shares files so that they can be replaced while read.
type handle struct{ root *os.Root }

// Open opens the directory at path.
func Open(path string) (*Dir, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &Dir{path: path, handle: handle{root: root}}, nil
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

// StatPath examines what is at path, following symbolic links.
func StatPath(path string) (Stat, error) {
	f, err := os.Open(path)
	if err != nil {
		return Stat{}, err
	}
	defer f.Close()
	return statFile(f)
}

// Lstat examines what is under name and follows nothing.
func (d *Dir) Lstat(name string) (Stat, error) {
	info, err := d.root.Lstat(name)
	if err != nil {
		return Stat{}, err
	}
	if !info.Mode().IsRegular() {
		return Stat{Mode: info.Mode(), Mtime: info.ModTime().UnixNano()}, nil
	}
	f, err := d.root.Open(name)
	if err != nil {
		return Stat{}, err
	}
	defer f.Close()
	return statFile(f)
}

func statFile(f *os.File) (Stat, error) {
	info, err := f.Stat()
	if err != nil {
		return Stat{}, err
	}
	var by windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(windows.Handle(f.Fd()), &by); err != nil {
		return Stat{}, &os.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	return Stat{
		Mode:  info.Mode(),
		Size:  info.Size(),
		Links: uint64(by.NumberOfLinks),
		ID:    FileID{uint64(by.VolumeSerialNumber), uint64(by.FileIndexHigh)<<32 | uint64(by.FileIndexLow)},
		Mtime: info.ModTime().UnixNano(),
	}, nil
}

// Read returns the bytes of the regular file under name, at most limit of
// them, and what it is. Errors: NotRegularError, TooLargeError.
func (d *Dir) Read(name string, limit int64) ([]byte, Stat, error) {
	info, err := d.root.Lstat(name)
	if err != nil {
		return nil, Stat{}, err
	}
	fail := func(err error) ([]byte, Stat, error) {
		return nil, Stat{}, &os.PathError{Op: "read", Path: d.join(name), Err: err}
	}
	if !info.Mode().IsRegular() {
		return fail(&NotRegularError{info.Mode()})
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, Stat{}, err
	}
	defer f.Close()
	stat, err := statFile(f)
	switch {
	case err != nil:
		return fail(err)
	case !stat.Mode.IsRegular():
		return fail(&NotRegularError{stat.Mode})
	case stat.Size > limit:
		return fail(&TooLargeError{stat.Size})
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return fail(err)
	}
	return data, stat, nil
}

// Remove takes the name away.
func (d *Dir) Remove(name string) error { return d.root.Remove(name) }

// Windows has no flushing of directories: renames are written through.
func (d *Dir) flushHandle() error { return nil }

// Names starts at the beginning.
func (d *Dir) Names() (*Names, error) {
	f, err := os.Open(d.path)
	if err != nil {
		return nil, err
	}
	return &Names{file: f}, nil
}

// MayWrite is not known on Windows before it is tried.
func MayWrite(string) error { return nil }
