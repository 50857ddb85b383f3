package config

import (
	"maps"
	"slices"

	"github.com/nebula-credential/nebula"
)

// DefaultStore is the name of the store that [storage] describes.
const DefaultStore = "default"

// Config is a configuration that was read.
type Config struct {
	Path        string // of the file; "" where the environment names no place for one
	Found       bool   // whether there is such a file
	CompleteIDs bool   // [completion] ids

	environ   []string // of Source
	env       environment
	providers registrations
	variables []string // that are read
	stores    map[string]*store
	fields    *fields
}

// store is what the configuration says of one store.
type store struct {
	name     string
	shared   sharedKeys
	key      keyKeys
	source   passphraseKeys
	sections map[string]any // by provider; pointers to its configuration

	trusted *nebula.KeyID // key.id
}

// directory returns the directory that holds the records, "" if they are not
// files on this machine.
func (s *store) directory() string {
	if d, ok := s.sections[s.shared.Provider].(directoried); ok {
		return d.Directory()
	}
	return ""
}

// sharedKeys stand in [storage] whatever the provider is.
type sharedKeys struct {
	Provider       string `koanf:"provider"`
	Scope          string `koanf:"scope"`
	CreatedBy      string `koanf:"created_by"`
	TrackAccess    bool   `koanf:"track_access"`
	RollbackGuard  string `koanf:"rollback_guard"` // path of a file; "" is none
	MaxConcurrency int    `koanf:"max_concurrency"`
}

// keyKeys stand in [key] and in [stores.NAME.key].
type keyKeys struct {
	File  string   `koanf:"file"`
	Files []string `koanf:"files"` // more of them

	bare           []string // those of which a variable gave a mere name
	ID             string   `koanf:"id"` // of the data key that the store must have
	AllowGroupRead bool     `koanf:"allow_group_read"`
	Identities     []string `koanf:"identities"` // files
	Plugins        []string `koanf:"plugins"`    // that may be started to seal to a recipient
	Keychain       bool     `koanf:"keychain"`
	Strict         bool     `koanf:"strict"` // refuses a store that has the key of that id as a retired one only
	Agent          bool     `koanf:"agent"`  // whether one is asked for the data key
}

// passphraseKeys stand in [stores.NAME.key] alone. The default store has
// variables for them.
type passphraseKeys struct {
	File    string `koanf:"passphrase_file"`
	Command string `koanf:"passphrase_command"`
}

type completionKeys struct {
	IDs bool `koanf:"ids"`
}

// Source says where a configuration comes from.
type Source struct {
	File    string   // of the flag --config; "" for the usual places
	Environ []string // as of os.Environ
	Store   string   // the store whose provider is checked too; "" is the default one, "*" all of them

	Providers []Registration // those that can be named; nil: [Providers]
}

// Load reads the configuration. What it returns beside an error can be asked
// for Path, Found and Strangers alone.
func Load(source Source) (*Config, error) {
	env := newEnvironment(source.Environ)
	path, named := locate(source.File, env)
	c := &Config{Path: path, environ: source.Environ, env: env, providers: source.Providers, stores: make(map[string]*store)}
	if c.providers == nil {
		c.providers = Providers()
	}
	l := newLoader(c)
	text, found, err := readFile(path, named)
	c.Found = found
	if err != nil {
		return c, err
	}
	l.readText(text)
	l.readVariables()
	l.checkStores(source.Store)
	c.fields = l.fields
	return c, l.problems.err()
}

// Names returns the stores' names, sorted.
func (c *Config) Names() []string { return slices.Sorted(maps.Keys(c.stores)) }

// Provider returns the name of a store's provider, or "" where there is no
// such store.
func (c *Config) Provider(name string) string {
	if s, ok := c.stores[orDefault(name)]; ok {
		return s.shared.Provider
	}
	return ""
}

// Directory returns the directory that holds a store's records, or "" if they
// are not files on this machine.
func (c *Config) Directory(name string) string {
	if s, ok := c.stores[orDefault(name)]; ok {
		return s.directory()
	}
	return ""
}

func orDefault(name string) string {
	if name == "" {
		return DefaultStore
	}
	return name
}

// find returns the store of that name.
func (c *Config) find(name string) (*store, error) {
	if s, ok := c.stores[orDefault(name)]; ok {
		return s, nil
	}
	return nil, &nebula.Error{Kind: nebula.ErrUsage, Op: "configuration",
		Message: "there is no store " + display(name) + suggest(name, c.Names()),
		Hint:    "add a section [stores.NAME] to " + c.Path}
}
