package config

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
	tomlv2 "github.com/pelletier/go-toml/v2"

	"github.com/nebula-credential/nebula"
)

// loader puts a configuration together, a layer on the other, and notes what
// is wrong on the way.
type loader struct {
	config   *Config
	fields   *fields
	complete completionKeys
	problems problems
}

func newLoader(c *Config) *loader {
	l := &loader{config: c, fields: &fields{byKey: make(map[string]*field), sections: make(map[string]bool)}}
	s := l.addStore(DefaultStore, "storage")
	l.fields.add("key", &s.key)
	l.fields.add("completion", &l.complete)
	l.fields.sections["stores"] = true
	return l
}

// addStore makes a store and its keys below section known.
func (l *loader) addStore(name, section string) *store {
	s := &store{name: name, sections: make(map[string]any)}
	s.shared.Provider, s.shared.MaxConcurrency = "local", 8
	l.fields.add(section, &s.shared)
	for _, d := range drivers() {
		s.sections[d.name] = d.defaults()
		l.fields.add(section+"."+d.name, s.sections[d.name])
	}
	l.config.stores[name] = s
	return s
}

// readText takes the text of the file.
func (l *loader) readText(text []byte) {
	layer := koanf.New(".")
	if err := layer.Load(rawbytes.Provider(text), toml.Parser()); err != nil {
		l.problems.add(l.where(err), "%s", strings.TrimPrefix(err.Error(), "toml: "))
		return
	}
	raw := layer.Raw()
	l.addNamed(raw)
	l.walk("", raw)
	l.config.CompleteIDs = l.complete.IDs
}

// where names the file and, where the parser knows it, the line.
func (l *loader) where(err error) string {
	var at *tomlv2.DecodeError
	if !errors.As(err, &at) {
		return l.config.Path
	}
	line, column := at.Position()
	return fmt.Sprintf("%s:%d:%d", l.config.Path, line, column)
}

// addNamed makes the stores known that the file names.
func (l *loader) addNamed(raw map[string]any) {
	stores, _ := raw["stores"].(map[string]any) // another type is found by walk
	for _, name := range slices.Sorted(maps.Keys(stores)) {
		section := "stores." + name
		switch {
		case !isStoreName(name):
			l.problems.add(l.config.Path, "[stores.%s]: a store's name has 1 to 64 characters of A-Z a-z 0-9 _ - and does not begin with -", display(name))
		case name == DefaultStore || slices.Contains(driverNames(), name):
			l.problems.add(l.config.Path, "[%s]: the name means [storage] already; take another one", section)
		default:
			s := l.addStore(name, section)
			l.fields.add(section+".key", &s.key)
			l.fields.add(section+".key", &s.source)
			continue
		}
		delete(stores, name) // said once is enough
	}
}

func isStoreName(s string) bool {
	return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$`).MatchString(s)
}

// walk takes what stands in a table of the file.
func (l *loader) walk(section string, table map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(table)) {
		key, raw := name, table[name]
		if section != "" {
			key = section + "." + name
		}
		f, known := l.fields.byKey[key]
		inner, isTable := raw.(map[string]any)
		switch {
		case strings.Contains(name, "."): // a quoted key that only looks like a path
			l.unknown(section, name)
		case known:
			l.set(f, raw, l.config.Path)
		case !l.fields.sections[key]:
			l.unknown(section, name)
		case isTable:
			l.walk(key, inner)
		default:
			l.problems.add(l.config.Path, "%s = %s: must be a section, [%s]", key, display(raw), key)
		}
	}
}

func (l *loader) unknown(section, name string) {
	where, shown := "", name
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" || name == "" {
		shown = display(name)
	}
	if section != "" {
		where = section + "."
	}
	l.problems.add(l.config.Path, "%s%s: unknown key%s", where, shown, l.meant(section, name))
}

// meant suggests a key: one of the same section, or of the same name elsewhere.
func (l *loader) meant(section, name string) string {
	if text := suggest(name, l.fields.below(section)); text != "" {
		return text
	}
	for _, f := range l.fields.order {
		if leaf(f.key) == name {
			return "; did you mean " + f.key + "?"
		}
	}
	return ""
}

// set gives a field its value.
func (l *loader) set(f *field, raw any, origin string) {
	isText := origin != l.config.Path
	shown := display(raw)
	if f.sensitive() {
		shown = "…"
	}
	where := fmt.Sprintf("%s: %s = %s", origin, f.key, shown)
	if isText {
		where = fmt.Sprintf("%s = %s", origin, shown)
	}
	if allowed := assign(f.value, raw, isText); allowed != "" {
		l.problems.add(where, "%s", allowed)
		return
	}
	f.origin = origin
	if !f.isPath() {
		return
	}
	path := l.config.env.expand(f.value.String())
	switch {
	case path == "":
		l.problems.add(where, "must name a file or directory")
	case filepath.IsAbs(path):
	case isText:
		// Who sets a variable means the directory that they are in.
		if abs, err := filepath.Abs(path); err == nil {
			path = abs
		}
	default:
		l.problems.add(where, "must be an absolute path, or begin with ~/")
	}
	f.value.SetString(path)
}

// variable returns the name of the variable for a key. Only the default store
// has variables.
func variable(key string) string {
	return "NEBULA_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// isSetting reports the variables that stand for a key, rightly spelt or not.
func isSetting(name string) bool {
	for _, prefix := range []string{"NEBULA_STORAGE_", "NEBULA_KEY_", "NEBULA_COMPLETION_", "NEBULA_STORES_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// readVariables takes the variables that stand for a key.
func (l *loader) readVariables(environ []string) {
	byName := make(map[string]string)
	for key := range l.fields.byKey {
		if !strings.HasPrefix(key, "stores.") {
			byName[variable(key)] = key
		}
	}
	layer := koanf.New(".")
	_ = layer.Load(env.Provider(".", env.Opt{ // which cannot fail
		Prefix:      "NEBULA_",
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			key, ok := byName[name]
			if !ok && isSetting(name) {
				l.problems.add(name, "unknown variable%s", suggest(name, slices.Collect(maps.Keys(byName))))
			}
			return key, value
		},
	}), nil)
	for _, key := range slices.Sorted(slices.Values(layer.Keys())) {
		l.set(l.fields.byKey[key], layer.Get(key), variable(key))
	}
	l.config.CompleteIDs = l.complete.IDs
}

// checkStores checks what holds for every store, and has the selected one's
// provider check its own settings.
func (l *loader) checkStores(selected string) {
	for _, name := range l.config.Names() {
		s := l.config.stores[name]
		section := "storage"
		if name != DefaultStore {
			section = "stores." + name
		}
		if s.shared.MaxConcurrency < 1 {
			l.problems.add(l.originOf(section+".max_concurrency"), "max_concurrency = %d: must be at least 1", s.shared.MaxConcurrency)
		}
		l.checkKeyID(s, strings.TrimPrefix(section+".key.id", "storage."))
		names := driverNames()
		if !slices.Contains(names, s.shared.Provider) {
			l.problems.add(l.originOf(section+".provider"), "provider = %s: must be one of %s%s", display(s.shared.Provider),
				strings.Join(names, ", "), suggest(s.shared.Provider, names))
			continue
		}
		if selected != "*" && orDefault(selected) != name {
			continue
		}
		if err := s.construct(); err != nil {
			l.problems.addError(l.originOf(section+"."+s.shared.Provider), err)
		}
	}
}

func (l *loader) checkKeyID(s *store, key string) {
	if f := l.fields.byKey[key]; f == nil || f.origin == fromDefault {
		return
	}
	id, err := nebula.ParseKeyID(s.key.ID)
	if err != nil {
		l.problems.add(l.originOf(key), "id = %s: must be the 32 digits 0-9a-f of a data key; nebula key list shows it", display(s.key.ID))
		return
	}
	s.trusted = &id
}

// originOf says where a setting was made, for messages.
func (l *loader) originOf(key string) string {
	f, ok := l.fields.byKey[key]
	switch {
	case !ok && l.config.Found:
		return l.config.Path + ": [" + key + "]"
	case !ok || f.origin == fromDefault:
		return "[" + key[:max(0, strings.LastIndexByte(key, '.'))] + "]"
	case f.origin == l.config.Path:
		return f.origin + ": [" + key[:strings.LastIndexByte(key, '.')] + "]"
	}
	return f.origin
}

// construct makes the store's provider, without a network call.
func (s *store) construct() error {
	for _, d := range drivers() {
		if d.name != s.shared.Provider {
			continue
		}
		p, err := d.open(s.sections[d.name])
		if err != nil {
			return err
		}
		s.provider = p
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrInternal, Message: "the provider " + s.shared.Provider + " is not registered"}
}
