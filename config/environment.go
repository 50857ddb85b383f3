package config

import (
	"path/filepath"
	"runtime"
	"strings"
)

// environment is the environment of the process. It is injected, so that tests
// can use another one.
type environment map[string]string

func newEnvironment(environ []string) environment {
	env := make(environment, len(environ))
	for _, entry := range environ {
		name, value, ok := strings.Cut(entry, "=")
		if !ok {
			continue
		}
		if runtime.GOOS == "windows" {
			name = strings.ToUpper(name) // Windows ignores the case
		}
		env[name] = value
	}
	return env
}

func (e environment) lookup(name string) (string, bool) {
	value, ok := e[name]
	return value, ok
}

// get is os.Getenv for this environment.
func (e environment) get(name string) string { return e[name] }

// home returns the home directory, or "" if the environment names none.
func (e environment) home() string {
	if runtime.GOOS == "windows" {
		return e["USERPROFILE"]
	}
	return e["HOME"]
}

// directory returns the default directory of the configuration and the key, or
// "" if the environment does not tell. XDG_CONFIG_HOME counts on every platform;
// its specification says to ignore a path that is not absolute.
func (e environment) directory() string {
	if base := e["XDG_CONFIG_HOME"]; filepath.IsAbs(base) {
		return filepath.Join(base, "nebula")
	}
	base, home := "", e.home()
	switch {
	case runtime.GOOS == "windows":
		base = e["APPDATA"]
	case home == "":
	case runtime.GOOS == "darwin":
		base = filepath.Join(home, "Library", "Application Support")
	default:
		base = filepath.Join(home, ".config")
	}
	if !filepath.IsAbs(base) {
		return ""
	}
	return filepath.Join(base, "nebula")
}

// stateDirectory returns the directory of known_stores, or "" if the environment
// does not tell.
func (e environment) stateDirectory() string {
	if base := e["XDG_STATE_HOME"]; filepath.IsAbs(base) {
		return filepath.Join(base, "nebula")
	}
	base, home := "", e.home()
	switch {
	case runtime.GOOS == "windows":
		base = e["LOCALAPPDATA"]
	case home == "":
	case runtime.GOOS == "darwin":
		base = filepath.Join(home, "Library", "Application Support")
	default:
		base = filepath.Join(home, ".local", "state")
	}
	if !filepath.IsAbs(base) {
		return ""
	}
	return filepath.Join(base, "nebula")
}

// expand replaces a leading ~/ by the home directory.
func (e environment) expand(path string) string {
	rest, ok := strings.CutPrefix(path, "~/")
	if home := e.home(); ok && home != "" {
		return filepath.Join(home, rest)
	}
	return path
}
