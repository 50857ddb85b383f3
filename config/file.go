package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// maxFileSize, in bytes, is far beyond any configuration.
const maxFileSize = 1 << 20

// locate returns the configuration's path and whether a flag or a variable names
// it: then the file must exist.
func locate(flag string, env environment) (path string, named bool) {
	if flag != "" {
		return flag, true
	}
	if path := env["NEBULA_CONFIG"]; path != "" {
		return path, true
	}
	if dir := env.directory(); dir != "" {
		return filepath.Join(dir, "config.toml"), false
	}
	return "", false
}

// readFile returns the text of the configuration, and whether there is one.
func readFile(path string, named bool) (text []byte, found bool, err error) {
	if path == "" || path == os.DevNull {
		return nil, false, nil
	}
	f, err := openFile(path)
	if errors.Is(err, os.ErrNotExist) && !named {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, unreadableFile(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, true, unreadableFile(path, err)
	case !info.Mode().IsRegular():
		return nil, true, fileError(path, "not a regular file", "")
	}
	// Anyone who can write to it could have a token sent to their own host.
	problem, fix, err := writableByOthers(path, f)
	if err != nil {
		return nil, true, unreadableFile(path, err)
	}
	if problem != "" {
		return nil, true, fileError(path, problem, fix)
	}
	text, err = io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, true, unreadableFile(path, err)
	}
	if len(text) > maxFileSize {
		return nil, true, fileError(path, fmt.Sprintf("larger than %d bytes", maxFileSize), "")
	}
	return text, true, nil
}

// openFile opens a file. It does not wait for the writer of a FIFO.
func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

func fileError(path, problem, fix string) error {
	if LooksLikeKey(path) {
		path = hidden
	}
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Op: "configuration", Message: path + ": " + problem, Hint: fix}
}

// unreadableFile returns the error for a file that the system does not let us
// read.
func unreadableFile(path string, err error) error {
	unreadable := &nebula.Error{Kind: FileKind(err), Op: "configuration", Message: path + ": " + atomicfile.Reason(err), Err: err}
	if LooksLikeKey(path) {
		unreadable.Message = hidden + ": " + atomicfile.Reason(err)
		return unreadable
	}
	fact, fix := atomicfile.Denial(path, err)
	if fact != "" {
		unreadable.Message += "; " + fact
		unreadable.Hint = fix
	}
	return unreadable
}
