package config

import (
	"reflect"
	"slices"
	"strings"
)

// Redacted is shown instead of a secret value.
const Redacted = "[REDACTED]"

// Setting is one setting of the effective configuration.
type Setting struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`
	Source string `json:"source"` // "default", the name of a variable, or the path of the file
}

// Settings returns the effective configuration: for each store the settings of
// its provider, and all others that were set.
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

// isUsed reports whether the store uses a key. It uses all except those of
// providers that it did not choose, and of services that keep no key for it.
func (c *Config) isUsed(key string) bool {
	name, rest := DefaultStore, strings.TrimPrefix(key, "storage.")
	if section, ok := strings.CutPrefix(key, "stores."); ok {
		name, rest, _ = strings.Cut(section, ".")
	}
	section, inner, nested := strings.Cut(rest, ".")
	s, ok := c.stores[name]
	switch {
	case !ok || !nested || section == "completion" || section == "serve":
		return true
	case section == "key":
		return s.uses(inner)
	}
	return section == s.shared.Provider
}

// uses reports whether the store uses a key below [key].
func (s *store) uses(key string) bool {
	section, _, nested := strings.Cut(key, ".")
	return !nested || slices.ContainsFunc(services(), func(source keySource) bool {
		return source.service.section == section && source.service.named(&s.key) != ""
	})
}

// Secrets names the variables that are set and hold a passphrase or a key.
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
