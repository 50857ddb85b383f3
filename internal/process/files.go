package process

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nebula-credential/nebula/internal/atomicfile"
)

const filesPrefix = "nebula-run-"

// Files are files for a child process, in a directory that only the user may
// enter. They are for systems that have no [MemoryFile]. A nil *Files has none.
type Files struct{ dir string }

// NewFiles makes a directory in parent, and removes those of processes that are
// gone: they were killed.
func NewFiles(parent string) (*Files, error) {
	removeLeftovers(parent)
	dir := filepath.Join(parent, filesPrefix+strconv.Itoa(os.Getpid())+"-"+rand.Text()[:8])
	if err := atomicfile.MakeDirs(dir); err != nil {
		return nil, err
	}
	return &Files{dir}, nil
}

// Add makes a file of mode 0600 and returns its path.
func (f *Files) Add(name string, data []byte) (path string, err error) {
	path = filepath.Join(f.dir, name)
	return path, atomicfile.Create(path, data)
}

// Remove removes the files and the directory.
func (f *Files) Remove() error {
	if f == nil {
		return nil
	}
	return os.RemoveAll(f.dir)
}

func removeLeftovers(parent string) {
	dirs, _ := filepath.Glob(filepath.Join(parent, filesPrefix+"*"))
	for _, dir := range dirs {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), filesPrefix), "-")
		pid, err := strconv.Atoi(number)
		if err == nil && pid > 0 && isGone(pid) {
			_ = os.RemoveAll(dir) // another user's stays
		}
	}
}

// isGone reports that no process has that id.
func isGone(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return true
	}
	defer p.Release()
	return errors.Is(p.Signal(noSignal), os.ErrProcessDone)
}
