package process

import (
	"os"
	"slices"
	"strings"
)

// opensStore reports whether a variable holds a key or passphrase of a store, or
// names a file with one. Windows ignores the case of names.
func opensStore(variable string) bool {
	name := strings.ToUpper(variable)
	return name == "NEBULA_KEY" || name == "NEBULA_KEY_FILE" || name == "NEBULA_AGENT_SOCK" || name == "NEBULA_IDENTITIES" || strings.HasPrefix(name, "NEBULA_PASSPHRASE") || strings.HasPrefix(name, "NEBULA_NEW_PASSPHRASE")
}

// ChildEnvironment returns the environment for a child process: without the
// variables that open a store.
func ChildEnvironment(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return opensStore(name)
	})
}

// Forget removes the variables that open a store from the environment of this
// process, so that no library passes them to a child. Programs call it after they
// copied the environment.
func Forget() {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); opensStore(name) {
			_ = os.Unsetenv(name)
		}
	}
}
