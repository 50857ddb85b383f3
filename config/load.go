package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/many"
	"github.com/nebula-credential/nebula/reference"
	"github.com/nebula-credential/nebula/unlock/awskms"
	"github.com/nebula-credential/nebula/unlock/azurekey"
	"github.com/nebula-credential/nebula/unlock/transit"
)

// loader builds a configuration layer by layer and collects the problems.
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
	l.noteObeyed("key")
	l.fields.add("completion", &l.complete)
	c.serve = c.env.defaultServe()
	l.fields.add("serve", &c.serve)
	l.fields.sections["stores"] = true
	c.variables = l.fields.variables()
	return l
}

// addStore adds a store and its keys below section.
func (l *loader) addStore(name, section string) *store {
	s := &store{name: name, sections: make(map[string]any)}
	s.shared.Provider, s.shared.MaxConcurrency = "local", many.DefaultJobs
	s.shared.CacheEntries = 1000
	s.key.Agent = true
	s.key.AWSKMS = awskms.DefaultConfigIn(l.config.env.get)
	s.key.AzureKey = azurekey.DefaultConfigIn(l.config.env.get)
	s.key.VaultTransit = transit.DefaultConfigIn(l.config.env.get)
	l.fields.add(section, &s.shared)
	for _, d := range l.config.providers {
		s.sections[d.name] = d.defaults(l.config.env.get)
		l.fields.add(section+"."+d.name, s.sections[d.name])
		l.obeyed(section+"."+d.name, d.obeys)
	}
	l.config.stores[name] = s
	return s
}

// obeyed notes which settings came from variables of a backend's own tools.
func (l *loader) obeyed(section string, variables map[string]string) {
	for key, name := range variables {
		if l.config.env.get(name) != "" {
			l.fields.byKey[section+"."+key].origin = name
		}
	}
}

// readText parses the text of the file and sets the fields.
func (l *loader) readText(text []byte) {
	var raw map[string]any
	if err := toml.Unmarshal(text, &raw); err != nil {
		l.problems.add(l.where(err), "%s", strings.TrimPrefix(err.Error(), "toml: "))
		return
	}
	l.addNamed(raw)
	l.walk("", raw)
	l.config.CompleteIDs = l.complete.IDs
}

// where names the file and, if the parser knows it, the line.
func (l *loader) where(err error) string {
	var at *toml.DecodeError
	if !errors.As(err, &at) {
		return l.config.Path
	}
	line, column := at.Position()
	return fmt.Sprintf("%s:%d:%d", l.config.Path, line, column)
}

// addNamed adds the stores that the file names.
func (l *loader) addNamed(raw map[string]any) {
	stores, _ := raw["stores"].(map[string]any) // another type is found by walk
	for _, name := range slices.Sorted(maps.Keys(stores)) {
		section := "stores." + name
		switch {
		case !reference.IsStoreName(name):
			l.problems.add(l.config.Path, "[stores.%s]: a store's name has 1 to 64 characters of A-Z a-z 0-9 _ - and does not begin with -", display(name))
		case name == DefaultStore || slices.Contains(l.config.providers.names(), name):
			l.problems.add(l.config.Path, "[%s]: the name means [storage] already; take another one", section)
		default:
			s := l.addStore(name, section)
			l.fields.add(section+".key", &s.key)
			l.noteObeyed(section + ".key")
			l.fields.add(section+".key", &s.source)
			continue
		}
		delete(stores, name) // report it once
	}
}

// walk sets the fields that a table of the file names.
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

// meant suggests a key for a misspelt one: from the same section, or of the same
// name in another section.
func (l *loader) meant(section, name string) string {
	if text := suggest(name, l.fields.below(section)); text != "" {
		return text
	}
	for _, f := range l.fields.order {
		if leaf(f.key) == name && !l.areRivals(section, f.key) {
			return "; did you mean " + f.key + "?"
		}
	}
	return ""
}

// areRivals reports whether a section belongs to one provider and a key to
// another: then suggesting the key does not help.
func (l *loader) areRivals(section, key string) bool {
	a, b := l.providerOf(section), l.providerOf(key)
	return a != "" && b != "" && a != b
}

// providerOf returns the provider that a key or section belongs to, or "".
func (l *loader) providerOf(key string) string {
	parts := strings.Split(key, ".")
	if parts[0] == "stores" {
		parts = parts[1:]
	}
	if len(parts) > 1 && slices.Contains(l.config.providers.names(), parts[1]) {
		return parts[1]
	}
	return ""
}

// checkStores checks the rules that hold for all stores, and the provider
// settings of the selected one.
func (l *loader) checkStores(selected []string) {
	isSelected := func(name string) bool {
		return slices.ContainsFunc(selected, func(s string) bool { return s == "*" || orDefault(s) == name })
	}
	for _, name := range l.config.Names() {
		s := l.config.stores[name]
		section := "storage"
		if name != DefaultStore {
			section = "stores." + name
		}
		if n := s.shared.MaxConcurrency; n < 1 {
			l.wrong(section+".max_concurrency", strconv.Itoa(n), "must be at least 1")
		}
		l.checkCache(section, s.shared)
		l.checkKeyID(s, strings.TrimPrefix(section+".key.id", "storage."))
		l.checkPlugins(s, strings.TrimPrefix(section+".key.plugins", "storage."))
		l.checkText(section+".scope", s.shared.Scope)
		l.checkText(section+".created_by", s.shared.CreatedBy)
		names := l.config.providers.names()
		if p := s.shared.Provider; !slices.Contains(names, p) {
			l.wrong(section+".provider", display(p), "must be one of "+strings.Join(names, ", ")+suggest(p, names))
			continue
		}
		if !isSelected(name) {
			continue
		}
		l.checkServices(s, strings.TrimPrefix(section+".key", "storage."))
		if !l.checkProvider(section, s) {
			continue
		}
		if guard, dir := s.shared.RollbackGuard, s.directory(); isWithin(dir, guard) {
			l.wrong(section+".rollback_guard", display(guard),
				"must not lie within base_path "+dir+": anyone who puts back an old copy of that puts back the guard too")
		}
	}
}

// checkCache checks the keys of the cache together. [nebula.Open] checks the
// bounds of each, in other words.
func (l *loader) checkCache(section string, k sharedKeys) {
	const longest = 30 * 24 * time.Hour
	if k.CacheMaxAge < 0 || k.CacheMaxAge > time.Minute {
		l.wrong(section+".cache_max_age", k.CacheMaxAge.String(), "must be 0 to 60s")
	}
	if k.CacheLastKnown < 0 || k.CacheLastKnown > longest {
		l.wrong(section+".cache_last_known", k.CacheLastKnown.String(), "must be 0 to 720h")
	}
	if k.CacheEntries < 1 || k.CacheEntries > 100_000 {
		l.wrong(section+".cache_entries", strconv.Itoa(k.CacheEntries), "must be 1 to 100000")
	}
	if k.CacheOnDisk && k.CacheLastKnown == 0 {
		l.wrong(section+".cache_on_disk", "true", "needs cache_last_known, which says how long what is on disk is used")
	}
	if k.TrackAccess && (k.CacheMaxAge > 0 || k.CacheLastKnown > 0) {
		l.wrong(section+".track_access", "true", "makes a write of every read, and excludes cache_max_age and cache_last_known")
	}
}

// checkWithin checks the settings of the providers that are named, in [storage].
func (l *loader) checkWithin(names []string) {
	for _, name := range names {
		if s := l.config.within(name); s != nil && s != l.config.stores[DefaultStore] {
			l.checkProvider("storage", s)
		}
	}
}

// checkProvider checks the provider settings of a store.
func (l *loader) checkProvider(section string, s *store) bool {
	err := l.config.validate(s)
	if err != nil {
		l.problems.addError(l.whereSection(section+"."+s.shared.Provider), err)
	}
	return err == nil
}

// checkText checks a text that becomes metadata of credentials.
func (l *loader) checkText(key, text string) {
	at := time.Unix(0, 0)
	if (nebula.Metadata{CreatedAt: at, LastModified: at, Scope: text}).Validate() != nil {
		l.wrong(key, display(text), "must be UTF-8 without control characters")
	}
}

func (l *loader) checkKeyID(s *store, key string) {
	if f := l.fields.byKey[key]; f.origin == fromDefault {
		return
	}
	id, err := nebula.ParseKeyID(s.key.ID)
	if err != nil {
		l.wrong(key, hidden, "must be the 32 digits 0-9a-f of a data key; nebula key list shows it")
		return
	}
	s.trusted = &id
}

// wrong reports a value that is not allowed, and where it was set.
func (l *loader) wrong(key, shown, allowed string) {
	switch origin := l.fields.byKey[key].origin; origin {
	case fromDefault:
		l.problems.add(key+" = "+shown, "%s", allowed)
	case l.config.Path:
		l.problems.add(fmt.Sprintf("%s: %s = %s", origin, key, shown), "%s", allowed)
	default:
		l.problems.add(origin+" = "+shown, "%s", allowed)
	}
}

// whereSection names a section in which the provider finds a problem.
func (l *loader) whereSection(section string) string {
	if l.config.Found {
		return l.config.Path + ": [" + section + "]"
	}
	return "[" + section + "]"
}

// validate checks the provider settings of a store. It makes no provider.
func (c *Config) validate(s *store) error {
	r, err := c.providers.find(s.shared.Provider)
	if err != nil {
		return err
	}
	return r.validate(s.sections[r.name])
}
