package atomicfile

import (
	"os"
	"strings"

	"golang.org/x/sys/windows"
)

// TooWideFile says why an open file is open to others than its owner, the
// system and its administrators, or returns "". There are no groups of a file
// here, so group changes nothing.
func TooWideFile(f *os.File, _ bool) (string, error) {
	g, err := access(windows.Handle(f.Fd()))
	if err != nil {
		return "", &os.PathError{Op: "GetSecurityInfo", Path: f.Name(), Err: err}
	}
	if g.foreign != "" {
		return g.foreign, nil
	}
	return g.all, nil
}

// WritableFile says who else than its owner, the system and its administrators
// may write an open file, or returns "".
func WritableFile(f *os.File) (string, error) {
	g, err := access(windows.Handle(f.Fd()))
	if err != nil {
		return "", &os.PathError{Op: "GetSecurityInfo", Path: f.Name(), Err: err}
	}
	if g.foreign != "" {
		return g.foreign, nil
	}
	return g.write, nil
}

// TooWide says what the access list allows to others than the owner, the system
// and its administrators, or returns "". If it is not a file or directory, or
// [Dir.Lstat] could not open it, nothing is known.
func (s Stat) TooWide() string { return s.granted.all }

// TooWideForGroup is TooWide: there is no group.
func (s Stat) TooWideForGroup() string { return s.granted.all }

// Writable says which of those others may write, or returns "".
func (s Stat) Writable() string { return s.granted.write }

// ForeignOwner says whose the file is if it is neither ours nor the system's
// or its administrators', else "".
func (s Stat) ForeignOwner() string { return s.granted.foreign }

// Restrict returns the command that removes others' access to files.
func Restrict(paths ...string) string {
	var commands []string
	for _, path := range paths {
		commands = append(commands, `icacls `+Quote(path)+` /inheritance:r /grant:r "%USERNAME%:F" "*S-1-5-18:F"`)
	}
	return strings.Join(commands, " & ")
}

// RestrictAll returns the command that removes others' access to the files of a
// directory.
func RestrictAll(dir string) string { return Restrict(dir + `\*`) }

// RestrictDir returns the command that removes others' access to a directory.
func RestrictDir(path string) string {
	return `icacls ` + Quote(path) + ` /inheritance:r /grant:r "%USERNAME%:(OI)(CI)F" "*S-1-5-18:(OI)(CI)F"`
}

// MakeDir returns the command that makes a directory for the user alone.
func MakeDir(path string) string { return `mkdir ` + Quote(path) + ` && ` + RestrictDir(path) }

// Quote returns path as one word of a command line. No path holds a quotation
// mark.
func Quote(path string) string { return `"` + path + `"` }

func foreignOwner(os.FileInfo) string { return "" }

func tooWide(os.FileMode, bool) string { return "" }
