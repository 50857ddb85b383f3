package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
)

// Resolve follows the symbolic links of a path whose last elements may be
// missing.
func Resolve(path string) string {
	path = filepath.Clean(path)
	resolved, err := filepath.EvalSymlinks(path)
	if err == nil {
		return resolved
	}
	parent := filepath.Dir(path)
	if parent == path || !errors.Is(err, os.ErrNotExist) {
		return path
	}
	return filepath.Join(Resolve(parent), filepath.Base(path))
}
