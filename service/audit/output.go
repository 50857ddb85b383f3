package audit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/secretfile"
)

// output is an open file, or standard error.
type output struct {
	file     *os.File
	info     os.FileInfo
	isStream bool

	torn bool // the file does not end with the end of a line

	users    sync.WaitGroup // that have written a line and not flushed it yet
	flusher  atomicfile.Flusher
	flushNow func() error
}

func openOutput(path string) (*output, error) {
	if path == Stderr {
		return &output{file: os.Stderr, isStream: true}, nil
	}
	f, err := openAppend(path)
	if err != nil {
		return nil, unusable(path, atomicfile.Reason(err), err)
	}
	o := &output{file: f}
	o.flushNow = o.flushData
	if err := o.examine(path); err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return o, nil
}

// openAppend opens the file, or makes it.
func openAppend(path string) (*os.File, error) {
	if err := atomicfile.MakeDirs(filepath.Dir(path)); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|noFollow, 0)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, notFollowed(path, err)
	}
	if err := atomicfile.Create(path, nil); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	f, err = os.OpenFile(path, os.O_RDWR|os.O_APPEND|noFollow, 0)
	return f, notFollowed(path, err)
}

// notFollowed says what is in the place of the file.
func notFollowed(path string, err error) error {
	if err == nil {
		return nil
	}
	if stat, failed := atomicfile.LstatPath(path); failed == nil && !stat.Mode.IsRegular() {
		return &atomicfile.NotRegularError{Mode: stat.Mode}
	}
	return err
}

// examine refuses a file that others may write, or that has another name: otherwise
// lines would go where somebody else wants them.
func (o *output) examine(path string) error {
	info, err := o.file.Stat()
	if err != nil {
		return unusable(path, atomicfile.Reason(err), err)
	}
	o.info = info
	if !info.Mode().IsRegular() {
		return unusable(path, (&atomicfile.NotRegularError{Mode: info.Mode()}).Error(), nil)
	}
	problem, err := atomicfile.WritableFile(o.file)
	switch {
	case err != nil:
		return unusable(path, atomicfile.Reason(err), err)
	case problem != "":
		return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "the audit log " + path + ": " + problem, Hint: atomicfile.Restrict(path)}
	case links(info) > 1:
		return unusable(path, "it is a link: the file has another name, too", nil)
	}
	if o.torn, err = isTorn(o.file); err != nil {
		return unusable(path, atomicfile.Reason(err), err)
	}
	return nil
}

// isTorn reports whether a file ends within a line. While another process writes
// a line, that may be so for a moment.
func isTorn(f *os.File) (torn bool, err error) {
	const tries, pause = 10, time.Millisecond
	for range tries {
		info, err := f.Stat()
		if err != nil || info.Size() == 0 {
			return false, err
		}
		var last [1]byte
		if _, err := f.ReadAt(last[:], info.Size()-1); err != nil || last[0] == '\n' {
			return false, err
		}
		time.Sleep(pause)
	}
	return true, nil
}

func unusable(path, reason string, err error) error {
	kind, hint := nebula.ErrInvalidConfig, ""
	if err != nil {
		kind = secretfile.Kind(err)
		_, hint = atomicfile.Denial(path, err)
	}
	return &nebula.Error{Kind: kind, Message: "the audit log " + path + ": " + reason, Hint: hint, Err: err}
}

var errCut = errors.New("only a part of the line was written, for want of room perhaps")

// write writes a line. The line begins with a newline that ends the one before it,
// which is left out if that one has its end.
func (o *output) write(line []byte) error {
	if !o.torn {
		line = line[1:]
	}
	n, err := o.writeOnce(line)
	if n > 0 {
		o.torn = line[n-1] != '\n'
	}
	if err == nil && n < len(line) {
		err = errCut
	}
	return err
}

// flush returns when everything that was written before the call is on the
// disk.
func (o *output) flush() error { return o.flusher.Flush(o.flushNow) }

func (o *output) close() error {
	o.users.Wait()
	if o.isStream {
		return nil
	}
	return o.file.Close()
}

// isAt reports whether path leads to the file.
func (o *output) isAt(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && os.SameFile(info, o.info)
}
