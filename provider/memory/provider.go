package memory

import (
	"sync"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// Config configures a provider. Begin with [DefaultConfig].
type Config struct {
	MaxVersions   int // kept of each credential; at least 1
	MaxRecordSize int // in bytes; at least 1

	// Backend holds the records. Several providers with one backend are like
	// several processes with one store. nil: a new backend.
	Backend *Backend
}

// DefaultConfig keeps 10 versions of records of up to 16 MiB.
func DefaultConfig() Config { return Config{MaxVersions: 10, MaxRecordSize: 16 << 20} }

// Backend holds records. It lives as long as the process.
type Backend struct {
	mu          sync.RWMutex
	credentials map[nebula.Name]*credential
	listeners   map[*listener]struct{}
}

// NewBackend returns an empty backend.
func NewBackend() *Backend {
	return &Backend{credentials: make(map[nebula.Name]*credential), listeners: make(map[*listener]struct{})}
}

// Validate reports what is wrong, in an error of kind ErrInvalidConfig.
func (c Config) Validate() error {
	if c.MaxVersions < 1 || c.MaxRecordSize < 1 {
		return &nebula.Error{Kind: nebula.ErrInvalidConfig, Provider: providerName,
			Message: "MaxVersions and MaxRecordSize must be at least 1", Hint: "begin with memory.DefaultConfig()"}
	}
	return nil
}

// New returns a provider that is not yet connected, or the error of
// [Config.Validate].
func New(config Config, options ...provider.Option) (nebula.Provider, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if config.Backend == nil {
		config.Backend = NewBackend()
	}
	return provider.New(&driver{config: config, Backend: config.Backend}, provider.Policy{}, provider.NewOptions(options...)), nil
}

// driver has every ability.
type driver struct {
	config Config
	*Backend
}

// credential has the versions of a name, at least one.
type credential struct {
	versions []version // the oldest first, the current one last
	deleted  bool
}

// version is a record, or the error of parsing it.
type version struct {
	id        nebula.Version
	envelope  *nebula.Envelope
	err       error
	createdAt time.Time
}

// Describe implements [provider.Driver]. There is no address.
func (d *driver) Describe() nebula.Description {
	return nebula.Description{Provider: providerName, MaxRecordSize: d.config.MaxRecordSize, ComparesKeyring: true}
}

// live returns the credential of a name if it is not deleted, else nil.
func (b *Backend) live(name nebula.Name) *credential {
	if c := b.credentials[name]; c != nil && !c.deleted {
		return c
	}
	return nil
}

// currentVersion returns the version of a live record, or "".
func (b *Backend) currentVersion(name nebula.Name) nebula.Version {
	if c := b.live(name); c != nil {
		return c.current().id
	}
	return ""
}

func (c *credential) current() version { return c.versions[len(c.versions)-1] }

func (v version) record() (nebula.Record, error) {
	if v.err != nil {
		return nebula.Record{}, v.err
	}
	return nebula.Record{Envelope: v.envelope, Version: v.id}, nil
}
