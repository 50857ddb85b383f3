package config

import (
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/nebula-credential/nebula/internal/seal"
)

// prefix begins every variable of ours.
const prefix = "NEBULA_"

// variable returns the name of the variable of a key. Only the default store has
// variables.
func variable(key string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// otherVariables are variables that the program reads and that set no key of the
// file.
func otherVariables() []string {
	return []string{"NEBULA_CONFIG", "NEBULA_STORE", "NEBULA_OUTPUT", "NEBULA_TIMEOUT",
		envAgentSocket, envIdentities, envKey, envPassphraseFile, envPassphraseCommand, envPassphrase, envNewPassphraseFile, envNewPassphrase}
}

// reserved are the prefixes of our variables' names. A name with such a prefix,
// or nearly, was meant for us.
func reserved() []string {
	return []string{"NEBULA_STORAGE", "NEBULA_KEY", "NEBULA_PASSPHRASE", "NEBULA_NEW_PASSPHRASE", "NEBULA_AGENT", "NEBULA_SERVE",
		"NEBULA_STORES_", "NEBULA_COMPLETION_"}
}

// maxEdits is how many edits a misspelt name may differ from one of ours.
const maxEdits = 2

// isForeign reports whether others set the variable: the tests, or Kubernetes
// and Docker, which name variables after services, in every container near a
// service whose name begins with nebula.
func isForeign(name string) bool {
	return strings.HasPrefix(name, "NEBULA_TEST_") || strings.HasPrefix(name, "NEBULA_TESTSERVER_") ||
		regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_.*)?)$`).MatchString(name)
}

// isMeant reports whether a name that nothing reads was meant for us. It
// ignores case: variables are sometimes written like the keys of the file.
func isMeant(name string, known []string) bool {
	name = strings.ToUpper(name)
	for _, beginning := range reserved() {
		if strings.HasPrefix(name, beginning) {
			return true
		}
		for at := range len(name) + 1 { // the name's own beginnings, by whole words
			atWord := at == len(name) || name[at] == '_'
			if atWord && distance(name[:at], strings.TrimSuffix(beginning, "_")) <= maxEdits {
				return true
			}
		}
	}
	return slices.ContainsFunc(known, func(k string) bool { return distance(name, k) <= maxEdits })
}

// isNearPrefix reports whether a name that does not begin as ours do is one of
// ours with a slip in its beginning: NEBUAL_STORAGE_PROVIDER.
func isNearPrefix(name string, known []string) bool {
	name = strings.ToUpper(name)
	if !strings.HasPrefix(name, prefix[:2]) { // most of an environment is far from it
		return false
	}
	return slices.ContainsFunc(known, func(k string) bool { return distance(name, k) <= maxEdits })
}

// unread returns the variables that begin as ours do, or nearly so, and that
// nothing reads, sorted: those that were meant for us, and others.
func unread(env environment, known []string) (meant, others []string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		switch {
		case slices.Contains(known, name) || isForeign(name):
		case !strings.HasPrefix(name, prefix):
			if isNearPrefix(name, known) {
				meant = append(meant, name)
			}
		case isMeant(name, known):
			meant = append(meant, name)
		default:
			others = append(others, name)
		}
	}
	return meant, others
}

// hasVariable reports whether a key of the file has a variable. The keys of
// stores with a name have none. NEBULA_KEY_FILE and NEBULA_IDENTITIES take
// several files.
func hasVariable(key string) bool {
	return !strings.HasPrefix(key, "stores.") && key != "key.files" && key != "key.identities"
}

// variables returns the names that are read, sorted.
func (fs *fields) variables() []string {
	names := otherVariables()
	for _, f := range fs.order {
		if hasVariable(f.key) {
			names = append(names, variable(f.key))
		}
	}
	slices.Sort(names)
	return names
}

// suggestVariable is suggest, by what comes after the beginning that all of our
// names share: with it, any two are alike.
func suggestVariable(name string, known []string) string {
	if !strings.HasPrefix(name, prefix) {
		return suggest(name, known)
	}
	var rest []string
	for _, k := range known {
		rest = append(rest, strings.TrimPrefix(k, prefix))
	}
	return strings.Replace(suggest(strings.TrimPrefix(name, prefix), rest), "did you mean ", "did you mean "+prefix, 1)
}

// readVariables reads the variables of keys. It refuses misspelt ones:
// otherwise a store other than the intended one would be used.
func (l *loader) readVariables() {
	meant, _ := unread(l.config.env, l.config.variables)
	for _, name := range meant {
		l.problems.add(name, "unknown variable%s", suggestVariable(name, l.variablesLike(name)))
	}
	for _, f := range l.fields.order {
		text, ok := l.config.env.lookup(variable(f.key))
		switch {
		case !ok || !hasVariable(f.key):
		case f.key == "key.file":
			l.setKeyFiles(text, f)
		default:
			l.set(f, text, variable(f.key))
		}
	}
	l.setIdentities()
	l.checkKey()
	l.checkAgent()
	l.checkServe()
	l.config.CompleteIDs = l.complete.IDs
}

// setKeyFiles reads the key files of a variable, joined as in PATH. They replace
// those of the file.
func (l *loader) setKeyFiles(text string, first *field) {
	origin, rest := variable(first.key), l.fields.byKey["key.files"]
	paths := []string{text}
	if !LooksLikeKey(text) && text != "" {
		paths = filepath.SplitList(text)
	}
	for _, path := range paths {
		if abs, err := filepath.Abs(path); err == nil && shownPath(path) == hidden {
			l.config.stores[DefaultStore].key.bare = append(l.config.stores[DefaultStore].key.bare, abs)
		}
	}
	l.set(first, paths[0], origin)
	rest.value.SetZero()
	if len(paths) == 1 {
		return
	}
	rest.origin = origin
	rest.value.Set(reflect.ValueOf(paths[1:]))
	for i := range rest.value.Len() {
		l.setPath(first, rest.value.Index(i), paths[i+1])
	}
}

// checkKey checks the key in a variable. No message shows any of it.
func (l *loader) checkKey() {
	text, ok := l.config.env.lookup(envKey)
	if !ok {
		return
	}
	if _, err := seal.ParseKeyFile([]byte(text)); err != nil {
		l.problems.add(envKey, "%v; the path of a key file is taken from NEBULA_KEY_FILE", err)
	}
}

// variablesLike returns the variables that a name may mean. If the name belongs
// to a provider, those of other providers are left out.
func (l *loader) variablesLike(name string) []string {
	section := ""
	for _, d := range l.config.providers {
		if strings.HasPrefix(name, variable("storage."+d.name)+"_") {
			section = "storage." + d.name
		}
	}
	return slices.DeleteFunc(slices.Clone(l.config.variables), func(candidate string) bool {
		key := slices.IndexFunc(l.fields.order, func(f *field) bool { return variable(f.key) == candidate })
		return key >= 0 && l.areRivals(section, l.fields.order[key].key)
	})
}

// Strangers names the variables that have our prefix, mean nothing, and do not
// resemble one of ours enough to be an error.
func (c *Config) Strangers() []string {
	_, others := unread(c.env, c.variables)
	return others
}
