package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/statefile"
)

// knownStores is the name of the file with the pins.
const knownStores = "known_stores"

// unwrittenPins never writes a pin: examining a store must change nothing.
type unwrittenPins struct{ nebula.Pins }

func (unwrittenPins) Update(string, func(nebula.Pin, bool) (nebula.Pin, bool)) error { return nil }

// CheckState examines the file in which the data key of a store is remembered.
// It writes nothing.
func (c *Config) CheckState(name string) nebula.Finding {
	f := nebula.Finding{Check: "state", Severity: nebula.SeverityOK}
	warn := func(message, fix string) nebula.Finding {
		f.Severity, f.Fix = nebula.SeverityWarning, fix
		f.Message = message + ": the store's key is not remembered, and a replaced one not noticed"
		return f
	}
	dir := c.env.stateDirectory()
	s, err := c.find(name)
	named := err == nil && s.trusted != nil
	if named {
		// The file shows whether a keyring is an older copy. If it cannot be
		// written, that is not a problem: containers are often set up like that.
		warn = func(message, _ string) nebula.Finding {
			f.Message = "nothing is remembered (" + message + "): the configuration names the data key"
			return f
		}
	}
	if dir == "" {
		return warn("there is no home directory", "set XDG_STATE_HOME, or name the data key with NEBULA_KEY_ID or id in [key]")
	}
	path := filepath.Join(dir, knownStores)
	f.Message = path
	if !Exists(path) {
		f.Message = "none yet; it would be " + path
	}
	_, _, err = nebula.NewPinFile(path).Load("")
	var e *nebula.Error
	switch problem := whyUnwritten(path); {
	case errors.As(err, &e) && e.Kind == nebula.ErrInvalidConfig:
		f.Severity, f.Kind, f.Message, f.Fix = nebula.SeverityError, e.Kind, e.Message, e.Hint
	case problem != "":
		return warn(problem, "let "+dir+" be a directory of yours, on a file system that locks, or set XDG_STATE_HOME to one")
	case errors.As(err, &e):
		return warn(e.Message, e.Hint)
	}
	if stat, err := atomicfile.StatPath(dir); err == nil && f.Severity == nebula.SeverityOK && stat.Writable() != "" {
		f.Severity, f.Kind, f.Message, f.Fix = nebula.SeverityError, nebula.ErrInvalidConfig, dir+": "+stat.Writable(), atomicfile.RestrictDir(dir)
	}
	return f
}

// whyUnwritten says why a file of state cannot be written, or returns "".
func whyUnwritten(path string) string {
	if problem := unmakable(filepath.Dir(path)); problem != "" {
		return problem
	}
	dir, err := atomicfile.Open(filepath.Dir(path))
	if err != nil {
		return "" // it is not there yet
	}
	defer dir.Close()
	name := filepath.Base(path)
	if _, err := dir.ProbeLock(statefile.LockName(name), name); err != nil {
		return filepath.Dir(path) + ": " + atomicfile.Reason(err)
	}
	return ""
}

// unmakable says why no file can be made in a directory, which is made itself if
// it is missing, or returns "".
func unmakable(dir string) string {
	for path := dir; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		switch {
		case err == nil && !info.IsDir():
			return path + " is not a directory"
		case err == nil && !mayWrite(path):
			return path + " may not be written"
		case err == nil:
			return ""
		case errors.Is(err, fs.ErrNotExist) || isBelowFile(err):
		default:
			return path + ": " + atomicfile.Reason(err)
		}
		if filepath.Dir(path) == path {
			return path + " is not there"
		}
	}
}
