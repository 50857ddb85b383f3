package config

import (
	"path/filepath"
	"runtime"
	"strings"
)

// environment is the environment of the process, which is injected so that it
// can be another one in a test.
type environment map[string]string

func newEnvironment(environ []string) environment {
	env := make(environment, len(environ))
	for _, entry := range environ {
		name, value, ok := strings.Cut(entry, "=")
		if !ok {
			continue
		}
		if runtime.GOOS == "windows" {
			name = strings.ToUpper(name) // where case does not matter
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

// home returns the home directory, or "" where the environment names none.
func (e environment) home() string {
	if runtime.GOOS == "windows" {
		return e["USERPROFILE"]
	}
	return e["HOME"]
}

// directory returns where the configuration and the key lie by default, or ""
// where the environment does not tell. XDG_CONFIG_HOME counts on every
// platform; one that is not absolute is to be ignored, its specification says.
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

// stateDirectory returns where known_stores lies, or "" where the environment
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

// expand puts the home directory in the place of a leading ~/.
func (e environment) expand(path string) string {
	rest, ok := strings.CutPrefix(path, "~/")
	if home := e.home(); ok && home != "" {
		return filepath.Join(home, rest)
	}
	return path
}
