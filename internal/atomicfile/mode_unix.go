//go:build unix

package atomicfile

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// granted is empty, because Stat has owner and mode.
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

// WritableFile says whose an open file is, if neither ours nor root's, or who
// else may write it, or returns "".
func WritableFile(f *os.File) (string, error) {
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if reason := foreignOwner(info); reason != "" {
		return reason, nil
	}
	return describe(info.Mode().Perm(), 0o022), nil
}

// TooWide says what users other than the owner may do, or returns "".
func (s Stat) TooWide() string { return describe(s.Mode.Perm(), 0o077) }

// TooWideForGroup is TooWide for a file that its group may read.
func (s Stat) TooWideForGroup() string { return describe(s.Mode.Perm(), 0o037) }

// Writable says who besides the owner may write, or returns "".
func (s Stat) Writable() string { return describe(s.Mode.Perm(), 0o022) }

// ForeignOwner names the owner of a file that is neither ours nor root's, or
// returns "".
func (s Stat) ForeignOwner() string { return foreign(s.Owner) }

// Restrict returns the command that removes others' access to files.
func Restrict(paths ...string) string {
	command := "chmod 600"
	for _, path := range paths {
		command += " " + Quote(path)
	}
	return command
}

// RestrictAll returns the command that removes others' access to the files of a
// directory, also to those that a pattern of the shell skips.
func RestrictAll(dir string) string {
	return "find " + Quote(dir) + " -maxdepth 1 -type f -exec chmod 600 {} +"
}

// RestrictDir returns the command that removes others' access to a directory.
func RestrictDir(path string) string { return "chmod 700 " + Quote(path) }

// MakeDir returns the command that makes a directory for the user alone.
func MakeDir(path string) string { return "mkdir -m 700 " + Quote(path) }

// Quote returns path as one word of a shell's command line.
func Quote(path string) string {
	if path != "" && strings.IndexFunc(path, isSpecial) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// isSpecial reports whether a character may mean something to some shell.
func isSpecial(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("/._-+,:@%", r)
}

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
	if group {
		return describe(mode, 0o037)
	}
	return describe(mode, 0o077)
}

// describe says which of the rights in mask the mode grants, or returns "".
func describe(mode, mask os.FileMode) string {
	if granted := access(mode & mask); granted != "" {
		return fmt.Sprintf("mode %04o: %s", mode, granted)
	}
	return ""
}

// access describes the rights of others or of the group. Those who may write
// come first, then others.
func access(mode os.FileMode) string {
	const read, write = 0o4, 0o2
	who, bits := "others", mode&0o7
	if group := mode >> 3 & 0o7; bits == 0 || group&write != 0 && bits&write == 0 {
		who, bits = "the group", group
	}
	switch {
	case bits&(read|write) == read|write:
		return who + " may read and write it"
	case bits&write != 0:
		return who + " may write it"
	case bits&read != 0:
		return who + " may read it"
	case bits != 0:
		return who + " may enter or run it"
	}
	return ""
}
