//go:build unix

package atomicfile

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// granted is not needed: Stat has owner and mode.
//
//lint:ignore U1000 it is used on Windows
type granted struct{}

// TooWideFile is [TooWide] of an open file.
func TooWideFile(f *os.File, group bool) (string, error) {
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	return TooWide(info, group), nil
}

// TooWide says what others than the owner may do, or returns "".
func (s Stat) TooWide() string { return tooWide(s.Mode.Perm(), false) }

// Writable says who besides the owner may write, or returns "".
func (s Stat) Writable() string { return tooWide(s.Mode.Perm()&0o022, false) }

// ForeignOwner says whose the file is if it is neither ours nor root's, else "".
func (s Stat) ForeignOwner() string { return foreign(s.Owner) }

// Restrict returns the command that takes others' access to files away.
func Restrict(paths ...string) string { return "chmod 600 " + strings.Join(paths, " ") }

// RestrictDir returns the command that takes others' access to a directory
// away.
func RestrictDir(path string) string { return "chmod 700 " + path }

// MakeDir returns the command that makes a directory for the user alone.
func MakeDir(path string) string { return "mkdir -m 700 " + path }

func foreignOwner(info os.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return foreign(st.Uid)
}

func foreign(uid uint32) string {
	if uid == 0 || int64(uid) == int64(os.Geteuid()) {
		return ""
	}
	return fmt.Sprintf("it belongs to the user of number %d", uid)
}

func tooWide(mode os.FileMode, group bool) string {
	allowed := os.FileMode(0)
	if group {
		allowed = 0o040
	}
	if access := access(mode &^ allowed); access != "" {
		return fmt.Sprintf("mode %04o: %s", mode, access)
	}
	return ""
}

// access puts the rights of others and of the group in words.
func access(mode os.FileMode) string {
	who, bits := "others", mode&0o7
	if bits == 0 {
		who, bits = "the group", mode>>3&0o7
	}
	switch {
	case bits&0o6 == 0o6:
		return who + " may read and write it"
	case bits&0o2 != 0:
		return who + " may write it"
	case bits&0o4 != 0:
		return who + " may read it"
	case bits != 0:
		return who + " may enter or run it"
	}
	return ""
}
