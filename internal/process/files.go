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

const (
	filesPrefix = "nebula-child-" // and the id of the process
	keptPrefix  = "nebula-kept-"
)

// Files are files for a child process, in a directory that only the user may
// enter. A nil *Files has none.
type Files struct{ dir string }

// NewFiles makes a directory in parent, and removes the directories of
// processes that are gone: they were killed.
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

// Dir returns the directory.
func (f *Files) Dir() string { return f.dir }

// Keep gives the directory another name and returns that. Remove does nothing
// then.
func (f *Files) Keep() (dir string, err error) {
	dir = filepath.Join(filepath.Dir(f.dir), keptPrefix+rand.Text()[:8])
	if err := os.Rename(f.dir, dir); err != nil {
		return "", err
	}
	f.dir = ""
	return dir, nil
}

// Remove removes the directory and all that is in it.
func (f *Files) Remove() error {
	if f == nil || f.dir == "" {
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
