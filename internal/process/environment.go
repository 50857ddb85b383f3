package process

import (
	"os"
	"slices"
	"strings"
)

// opensStore reports whether a variable holds, or leads to, what opens a store.
// On Windows the case of names does not matter.
func opensStore(variable string) bool {
	name := strings.ToUpper(variable)
	return name == "NEBULA_KEY" || name == "NEBULA_KEY_FILE" || name == "NEBULA_AGENT_SOCK" || name == "NEBULA_IDENTITIES" || strings.HasPrefix(name, "NEBULA_PASSPHRASE") || strings.HasPrefix(name, "NEBULA_NEW_PASSPHRASE")
}

// ChildEnvironment returns the environment for a child process: without what
// opens a store.
func ChildEnvironment(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return opensStore(name)
	})
}

// Forget removes what opens a store from the environment of this process, so
// that no library passes it on to a child. It is for programs, which have taken
// their copy before.
func Forget() {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); opensStore(name) {
			_ = os.Unsetenv(name)
		}
	}
}
