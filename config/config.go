package config

import (
	"maps"
	"slices"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/unlock/awskms"
	"github.com/nebula-credential/nebula/unlock/azurekey"
	"github.com/nebula-credential/nebula/unlock/transit"
)

// DefaultStore is the name of the store that [storage] describes.
const DefaultStore = "default"

// Config is the configuration that [Load] read.
type Config struct {
	Path        string // of the file; "" if the environment names no place for one
	Found       bool   // whether there is such a file
	CompleteIDs bool   // [completion] ids

	environ   []string // of Source
	env       environment
	providers registrations
	variables []string // that are read
	stores    map[string]*store
	fields    *fields
}

// store is the configuration of one store.
type store struct {
	name     string
	shared   sharedKeys
	key      keyKeys
	source   passphraseKeys
	sections map[string]any // a pointer to the configuration of each provider, by its name

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

// sharedKeys are the keys of [storage] that all providers have.
type sharedKeys struct {
	Provider       string `toml:"provider"`
	Scope          string `toml:"scope"`
	CreatedBy      string `toml:"created_by"`
	TrackAccess    bool   `toml:"track_access"`
	RollbackGuard  string `toml:"rollback_guard"` // path of a file; "" is none
	MaxConcurrency int    `toml:"max_concurrency"`

	CacheMaxAge    time.Duration `toml:"cache_max_age"`    // 0: the backend is always asked
	CacheLastKnown time.Duration `toml:"cache_last_known"` // 0: an outage is an error
	CacheEntries   int           `toml:"cache_entries"`
	CacheOnDisk    bool          `toml:"cache_on_disk"` // in the state directory
}

// keyKeys are the keys of [key] and of [stores.NAME.key].
type keyKeys struct {
	File  string   `toml:"file"`
	Files []string `toml:"files"` // in addition to File

	bare           []string // the files that a variable gave as a mere name
	ID             string   `toml:"id"` // of the data key that the store must have
	AllowGroupRead bool     `toml:"allow_group_read"`
	Identities     []string `toml:"identities"` // files
	Plugins        []string `toml:"plugins"`    // that may be started to seal to a recipient
	Keychain       bool     `toml:"keychain"`
	Strict         bool     `toml:"strict"` // refuses a store that has the key of that id as a retired one only
	Agent          bool     `toml:"agent"`  // whether one is asked for the data key

	AWSKMS       awskms.Config   `toml:"aws_kms"`
	AzureKey     azurekey.Config `toml:"azure_key"`
	VaultTransit transit.Config  `toml:"vault_transit"`
}

// passphraseKeys are keys of [stores.NAME.key] only. The default store has
// variables for them.
type passphraseKeys struct {
	File    string `toml:"passphrase_file"`
	Command string `toml:"passphrase_command"`
}

type completionKeys struct {
	IDs bool `toml:"ids"`
}

// Source says where [Load] gets a configuration from.
type Source struct {
	File    string   // of the flag --config; "" for the usual places
	Environ []string // as of os.Environ
	Store   string   // the store whose provider settings are checked; "" is the default store, "*" is all
	Between []string // instead of Store: what [Config.OpenBetween] is to open

	Providers []Registration // that the configuration can name; nil: [Providers]
}

// Load reads the configuration. It returns a Config with an error too; then
// only Path, Found and Strangers may be used.
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
	selected := []string{source.Store}
	if source.Between != nil {
		selected = source.Between
		l.checkWithin(selected)
		if slices.Contains(selected, c.Provider("")) { // it means the default store
			selected = append(selected[:len(selected):len(selected)], DefaultStore)
		}
	}
	l.checkStores(selected)
	c.fields = l.fields
	return c, l.problems.err()
}

// Names returns the stores' names, sorted.
func (c *Config) Names() []string { return slices.Sorted(maps.Keys(c.stores)) }

// Provider returns the name of a store's provider, or "" if there is no such
// store.
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
