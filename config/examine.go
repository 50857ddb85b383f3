package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
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
	switch {
	case err == nil && s.trusted != nil:
		f.Message = "nothing is remembered: the configuration names the data key"
		return f
	case dir == "":
		return warn("there is no home directory", "set XDG_STATE_HOME, or name the data key with NEBULA_KEY_ID or id in [key]")
	}
	path := filepath.Join(dir, knownStores)
	f.Message = path
	if !Exists(path) {
		f.Message = "none yet; it would be " + path
	}
	_, _, err = nebula.NewPinFile(path).Load("")
	var e *nebula.Error
	switch problem := unmakable(dir); {
	case errors.As(err, &e) && e.Kind == nebula.ErrInvalidConfig:
		f.Severity, f.Kind, f.Message, f.Fix = nebula.SeverityError, e.Kind, e.Message, e.Hint
	case problem != "":
		return warn(problem, "make "+dir+" a directory of yours, or set XDG_STATE_HOME")
	case errors.As(err, &e):
		return warn(e.Message, e.Hint)
	}
	if stat, err := atomicfile.StatPath(dir); err == nil && f.Severity == nebula.SeverityOK && stat.Writable() != "" {
		f.Severity, f.Kind, f.Message, f.Fix = nebula.SeverityError, nebula.ErrInvalidConfig, dir+": "+stat.Writable(), atomicfile.RestrictDir(dir)
	}
	return f
}

// unmakable returns "" if a file can be made in a directory, or why not. A
// missing directory counts as one that can be made.
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
