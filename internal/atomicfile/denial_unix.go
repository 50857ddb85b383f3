//go:build unix

package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Denial says which mode or owner keeps us from the file at path, and what to
// do about it. Both are "" if err is of another kind.
func Denial(path string, err error) (fact, fix string) {
	if !errors.Is(err, fs.ErrPermission) {
		return "", ""
	}
	target := path
	info, err := os.Stat(target)
	for above := filepath.Dir(target); err != nil && target != above; above = filepath.Dir(target) {
		target = above
		info, err = os.Stat(target)
	}
	if err != nil {
		return "", ""
	}
	fact = fmt.Sprintf("%s has mode %04o", target, info.Mode().Perm())
	switch owner := OtherOwner(target); {
	case owner != "":
		return fact + ", and " + owner, "run it as that user, or get access to " + Quote(target)
	case info.IsDir():
		return fact, RestrictDir(target)
	}
	return fact, Restrict(target)
}

// OtherOwner says to whom a file belongs if that is somebody else, such as root.
// Only they can change its mode.
func OtherOwner(path string) string {
	stat, err := StatPath(path)
	if me := os.Geteuid(); err != nil || me == 0 || int64(stat.Owner) == int64(me) {
		return ""
	}
	return fmt.Sprintf("it belongs to the user of number %d", stat.Owner)
}
