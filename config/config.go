package config

import (
	"maps"
	"os"
	"slices"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/reference"
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
	serve     Serve
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
	// Provider keeps the records: local, aws, azure, kubernetes, vault or memory.
	Provider string `toml:"provider"`

	// Scope limits the store to one scope: credentials of other scopes cannot be read
	// and are not written over. New credentials get this scope. It is not a security
	// boundary.
	Scope string `toml:"scope"`

	// CreatedBy is written into new credentials as their author; "" is the user.
	CreatedBy string `toml:"created_by"`

	// TrackAccess writes the time of each read into the record, which makes each
	// read a write.
	TrackAccess bool `toml:"track_access"`

	// RollbackGuard is the file that notes the newest version seen of each
	// credential. If somebody puts back an older one, it is refused. "" is none.
	// The file must not lie in the directory of the records.
	RollbackGuard string `toml:"rollback_guard"`

	// MaxConcurrency is how many credentials a command works on at once. Into
	// files it writes 16 times as many.
	MaxConcurrency int `toml:"max_concurrency"`

	// CacheMaxAge is how long a program may read a credential again without asking
	// the backend. With 0 it always asks.
	CacheMaxAge time.Duration `toml:"cache_max_age"`

	// CacheLastKnown is how long a credential that was read stays readable
	// while the backend is unavailable. With 0 an outage is an error.
	CacheLastKnown time.Duration `toml:"cache_last_known"`

	// CacheEntries is how many credentials are kept for that.
	CacheEntries int `toml:"cache_entries"`

	// CacheOnDisk keeps them in the state directory too, for a start without the
	// backend. It needs CacheLastKnown.
	CacheOnDisk bool `toml:"cache_on_disk"`
}

// keyKeys are the keys of [key] and of [stores.NAME.key].
type keyKeys struct {
	// File is the key file that opens the store.
	File string `toml:"file"`

	// Files are more key files that may open the store.
	Files []string `toml:"files"`

	bare []string // the files that a variable gave as a mere name

	// ID of the data key that the store must have: 32 hexadecimal digits.
	ID string `toml:"id"`

	// AllowGroupRead accepts key files that a group may read, as Kubernetes
	// mounts them.
	AllowGroupRead bool `toml:"allow_group_read"`

	// Identities are files with age identities or SSH private keys.
	Identities []string `toml:"identities"`

	// Plugins are the names of age plugins that may be started to seal to a
	// recipient: 1 to 32 characters of a-z, 0-9 and hyphen.
	Plugins []string `toml:"plugins"`

	// Keychain opens the store with the secret in the keychain of this machine.
	Keychain bool `toml:"keychain"`

	// Strict refuses a store that has the key of ID only as a retired one.
	Strict bool `toml:"strict"`

	// Agent says whether the agent is asked for the data key.
	Agent bool `toml:"agent"`

	AWSKMS       awskms.Config   `toml:"aws_kms"`
	AzureKey     azurekey.Config `toml:"azure_key"`
	VaultTransit transit.Config  `toml:"vault_transit"`
}

// passphraseKeys are keys of [stores.NAME.key] only. The default store has
// variables for them.
type passphraseKeys struct {
	// File holds the passphrase. For the default store NEBULA_PASSPHRASE_FILE names
	// it.
	File string `toml:"passphrase_file"`

	// Command prints the passphrase, and is run without a shell. For the default
	// store it is in NEBULA_PASSPHRASE_COMMAND.
	Command string `toml:"passphrase_command"`
}

type completionKeys struct {
	// IDs says whether the shell completes ids. It completes only the ids of
	// stores in files.
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
		Hint:    c.whereToAdd(name)}
}

// whereToAdd says where to describe a store that is not known.
func (c *Config) whereToAdd(name string) string {
	section := "a section [stores.NAME]"
	if reference.IsStoreName(name) && !LooksLikeKey(name) {
		section = "a section [stores." + name + "]"
	}
	switch {
	case c.Path == "" || c.Path == os.DevNull:
		return "write " + section + " into a file, and name that with --config or NEBULA_CONFIG"
	case !c.Found:
		return "there is no configuration yet: make " + c.Path + ", with " + section
	}
	return "add " + section + " to " + c.Path
}
