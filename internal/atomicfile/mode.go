package atomicfile

import (
	"fmt"
	"os"
)

// TooWide says why the file is open to others than its owner, or returns "".
// With group, the members of its group may read it. Windows has no such
// modes: the answer there is always "".
func TooWide(info os.FileInfo, group bool) string {
	if reason := foreignOwner(info); reason != "" {
		return reason
	}
	return tooWide(info.Mode().Perm(), group)
}

// TooWideFor is [TooWide] of the mode alone.
func (s Stat) TooWide() string { return tooWide(s.Mode.Perm(), false) }

// Writable says who besides the owner may write, or returns "".
func (s Stat) Writable() string { return tooWide(s.Mode.Perm()&0o022, false) }

func tooWide(mode os.FileMode, group bool) string {
	if !hasModes {
		return ""
	}
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
