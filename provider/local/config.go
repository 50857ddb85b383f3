package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// DefaultFileExtension is the end of file names, after a dot.
const DefaultFileExtension = "enc.json"

// maxExtension leaves room for an id of any length in a file name of 255 bytes.
const maxExtension = 255 - nebula.MaxIDLength - len(".")

// Config says where the files are. Start from [DefaultConfig].
type Config struct {
	// BasePath is the directory, absolute.
	BasePath string `toml:"base_path"`

	// CreateDir makes the directory, and those above it, on the first write.
	CreateDir bool `toml:"create_dir"`

	// FileExtension is the end of file names, without the first dot.
	FileExtension string `toml:"file_extension"`

	// EnableLocking keeps processes from writing at once. Without it
	// preconditions and changes of the keyring are not supported.
	EnableLocking bool `toml:"enable_locking"`
}

// DefaultConfig returns the configuration for nebula/credentials in the user's
// data directory: $XDG_DATA_HOME if it is set and absolute, otherwise the
// platform's. BasePath is empty if the user has no home.
func DefaultConfig() Config { return DefaultConfigIn(os.Getenv) }

// DefaultConfigIn is [DefaultConfig] in another environment than the process's.
func DefaultConfigIn(getenv func(variable string) string) Config {
	c := Config{CreateDir: true, FileExtension: DefaultFileExtension, EnableLocking: true}
	if data := dataHome(getenv); data != "" {
		c.BasePath = filepath.Join(data, "nebula", "credentials")
	}
	return c
}

// Directory returns BasePath: records are files on this machine.
func (c Config) Directory() string { return c.BasePath }

func dataHome(getenv func(string) string) string {
	if xdg := getenv("XDG_DATA_HOME"); filepath.IsAbs(xdg) {
		return xdg
	}
	if runtime.GOOS == "windows" {
		return getenv("LOCALAPPDATA")
	}
	home := getenv("HOME")
	if !filepath.IsAbs(home) {
		return ""
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Application Support")
	}
	return filepath.Join(home, ".local", "share")
}

// Validate reports all problems, in one error of kind ErrInvalidConfig. It
// looks at the directory and changes nothing. A directory that may be read and
// not written is valid: Store and Delete will fail with ErrPermissionDenied.
func (c Config) Validate() error {
	var problems, hints []string
	note := func(setting, reason, hint string) {
		if reason != "" {
			problems = append(problems, setting+" "+reason)
		}
		if hint != "" {
			hints = append(hints, hint)
		}
	}
	reason, hint := c.invalidPath()
	note("base_path", reason, hint)
	note("file_extension", invalidExtension(c.FileExtension), "")
	if problems == nil {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Provider: providerName,
		Message: strings.Join(problems, "; "), Hint: strings.Join(hints, "; ")}
}

func (c Config) invalidPath() (reason, hint string) {
	path := strconv.Quote(c.BasePath)
	switch {
	case c.BasePath == "":
		return "is not set, and there is no home directory to take its place", "set base_path to an absolute path"
	case !filepath.IsAbs(c.BasePath):
		return path + " is not an absolute path", ""
	case strings.ContainsRune(c.BasePath, 0):
		return path + " holds a NUL", ""
	}
	info, err := os.Stat(c.BasePath)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		above, info, err := nearest(c.BasePath)
		switch {
		case err == nil && info.Mode().Type() == fs.ModeSymlink:
			return path + " cannot be made: " + above + " is a link to something that does not exist", "see whether a file system is not mounted, or remove the link"
		// On other systems than Windows that is a separate error.
		case err == nil && !info.IsDir():
			return path + " lies below " + above + ", which is not a directory but " + atomicfile.TypeName(info.Mode()), ""
		}
		if !c.CreateDir {
			return path + " does not exist, and create_dir is false", atomicfile.MakeDir(c.BasePath)
		}
	case errors.Is(err, fs.ErrPermission), atomicfile.IsTransient(err):
		// The setting may be right. Connect reports the obstacle.
	case err != nil:
		return path + ": " + atomicfile.Reason(err), ""
	case !info.IsDir():
		return path + " is not a directory but " + atomicfile.TypeName(info.Mode()), ""
	}
	return "", ""
}

// nearest returns the path, or the nearest one above it that exists, even if it is a
// link to nothing.
func nearest(path string) (string, fs.FileInfo, error) {
	for {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			info, err = os.Lstat(path)
		}
		parent := filepath.Dir(path)
		if err == nil || parent == path || !errors.Is(err, fs.ErrNotExist) {
			return path, info, err
		}
		path = parent
	}
}

// invalidExtension refuses characters that some platform does not allow in a
// name, so that a directory can be moved to any other platform.
func invalidExtension(ext string) string {
	quoted := strconv.Quote(ext)
	switch {
	case ext == "":
		return "is empty"
	case len(ext) > maxExtension:
		return "has " + strconv.Itoa(len(ext)) + " bytes, " + strconv.Itoa(maxExtension) + " are allowed"
	case !utf8.ValidString(ext):
		return quoted + " is not valid UTF-8"
	case strings.ContainsAny(ext, `/\`):
		return quoted + " holds a path separator"
	case strings.ContainsAny(ext, `<>:"|?*`):
		return quoted + " holds a character that Windows does not allow"
	case ext[0] == '.' || strings.HasSuffix(ext, "."):
		return quoted + " begins or ends with a dot"
	case strings.HasSuffix(ext, " "):
		return quoted + " ends with a space"
	}
	for _, r := range ext {
		if r < 0x20 || 0x7f <= r && r <= 0x9f {
			return quoted + " holds a control character"
		}
	}
	return ""
}
