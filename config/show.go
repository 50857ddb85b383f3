package config

import (
	"reflect"
	"strings"
)

// Redacted stands for a value that is not shown.
const Redacted = "[REDACTED]"

// Setting is one line of the configuration as it holds.
type Setting struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`
	Source string `json:"source"` // "default", the name of a variable, or the path of the file
}

// Settings returns what holds: for each store what its provider uses, and what
// was set besides.
func (c *Config) Settings() []Setting {
	var settings []Setting
	for _, f := range c.fields.order {
		if f.origin == fromDefault && !c.isUsed(f.key) {
			continue
		}
		s := Setting{Key: f.key, Value: f.value.Interface(), Source: f.origin}
		switch {
		case f.value.Type() == durationType():
			s.Value = f.value.Interface().(interface{ String() string }).String()
		case f.sensitive() && f.value.String() != "":
			s.Value = Redacted
		case f.value.Kind() == reflect.Slice && f.value.IsNil():
			s.Value = []string{}
		case leaf(f.key) == "file" && f.value.String() == "":
			s.Value = defaultKeyFile(c.env)
		}
		settings = append(settings, s)
	}
	return settings
}

// isUsed reports whether a setting is more than a default of a provider that
// is not the chosen one.
func (c *Config) isUsed(key string) bool {
	name, rest := DefaultStore, ""
	if section, ok := strings.CutPrefix(key, "stores."); ok {
		name, rest, _ = strings.Cut(section, ".")
	} else if rest, ok = strings.CutPrefix(key, "storage."); !ok {
		return true
	}
	section, _, nested := strings.Cut(rest, ".")
	s, ok := c.stores[name]
	return !ok || !nested || section == "key" || section == s.shared.Provider
}

// Secrets names the variables with a passphrase or a key in them that are set.
func Secrets(environ []string) []string {
	env := newEnvironment(environ)
	var set []string
	for _, name := range []string{envKey, envPassphrase, envNewPassphrase} {
		if _, ok := env.lookup(name); ok {
			set = append(set, name)
		}
	}
	return set
}
