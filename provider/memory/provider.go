package memory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/nebula-credential/nebula"
)

// Config is what can be set. Begin with [DefaultConfig].
type Config struct {
	MaxVersions   int // kept of each credential; at least 1
	MaxRecordSize int // in bytes; at least 1
}

// DefaultConfig keeps 10 versions of records of up to 16 MiB.
func DefaultConfig() Config { return Config{MaxVersions: 10, MaxRecordSize: 16 << 20} }

// Provider implements [nebula.Provider] and every ability.
type Provider struct {
	config Config
	*backend
	state nebula.State
}

// backend is apart from the provider so that tests can put two over one. Its
// lock guards the states of the providers too.
type backend struct {
	mu          sync.RWMutex
	credentials map[nebula.Name]*credential
}

// credential is what stands under a name. It has at least one version.
type credential struct {
	versions []version // the oldest first, the current one last
	deleted  bool
}

// version is a record, or why its bytes are none.
type version struct {
	id        nebula.Version
	envelope  *nebula.Envelope
	err       error
	createdAt time.Time
}

// New returns a provider to be connected, or an error of kind ErrInvalidConfig.
func New(config Config) (*Provider, error) {
	if config.MaxVersions < 1 || config.MaxRecordSize < 1 {
		return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Provider: providerName,
			Message: "max versions and max record size must be at least 1", Hint: "begin with memory.DefaultConfig()"}
	}
	return &Provider{config: config, backend: &backend{credentials: make(map[nebula.Name]*credential)}}, nil
}

// Store implements [nebula.Provider].
func (p *Provider) Store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, options nebula.StoreOptions) (nebula.Version, error) {
	const op = "store"
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.readyFor(ctx, name); err != nil {
		return "", located(err, op, name)
	}
	if size, limit := len(envelope.Bytes()), p.config.MaxRecordSize; size > limit {
		return "", located(&nebula.Error{Kind: nebula.ErrTooLarge,
			Message: fmt.Sprintf("the record has %d bytes, the limit of %s is %d", size, providerName, limit)}, op, name)
	}
	if err := p.checkKey(name, envelope); err != nil {
		return "", located(err, op, name)
	}
	if err := options.Precondition.Check(p.currentVersion(name)); err != nil {
		return "", located(err, op, name)
	}
	v := version{id: versionOf(envelope.Bytes()), envelope: envelope, createdAt: time.Now()}
	p.put(name, v)
	return v.id, nil
}

// put makes v the current version.
func (p *Provider) put(name nebula.Name, v version) {
	c := p.credentials[name]
	if c == nil || c.deleted {
		p.credentials[name] = &credential{versions: []version{v}}
		return
	}
	kept := make([]version, 0, len(c.versions)+1)
	for _, old := range c.versions {
		if old.id != v.id {
			kept = append(kept, old)
		}
	}
	kept = append(kept, v)
	c.versions = kept[max(0, len(kept)-p.config.MaxVersions):]
}

// checkKey refuses what is not sealed under the key of the keyring.
func (p *Provider) checkKey(name nebula.Name, envelope *nebula.Envelope) error {
	keyring := p.live(nebula.KeyringName())
	if name.IsKeyring() || keyring == nil || keyring.current().err != nil {
		return nil
	}
	if keyring.current().envelope.KeyID() == envelope.KeyID() {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrConflict, Err: nebula.ErrKeyChanged,
		Message: "the record is not sealed under the key of the keyring", Hint: "read the keyring again and seal the value anew"}
}

// Retrieve implements [nebula.Provider].
func (p *Provider) Retrieve(ctx context.Context, name nebula.Name) (nebula.Record, error) {
	record, err := p.retrieve(ctx, name)
	return record, located(err, "retrieve", name)
}

func (p *Provider) retrieve(ctx context.Context, name nebula.Name) (nebula.Record, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.readyFor(ctx, name); err != nil {
		return nebula.Record{}, err
	}
	c := p.live(name)
	if c == nil {
		return nebula.Record{}, errNotFound()
	}
	return c.current().record()
}

// Delete implements [nebula.Provider].
func (p *Provider) Delete(ctx context.Context, name nebula.Name) error {
	const op = "delete"
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.readyToRemove(ctx, name); err != nil {
		return located(err, op, name)
	}
	if c := p.credentials[name]; c != nil {
		c.deleted = true
	}
	return nil
}

// Exists implements [nebula.Provider].
func (p *Provider) Exists(ctx context.Context, name nebula.Name) (bool, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.readyFor(ctx, name); err != nil {
		return false, located(err, "exists", name)
	}
	return p.live(name) != nil, nil
}

// live returns what is stored under name and not deleted, or nil.
func (p *Provider) live(name nebula.Name) *credential {
	if c := p.credentials[name]; c != nil && !c.deleted {
		return c
	}
	return nil
}

// currentVersion returns the version of a live record, or "".
func (p *Provider) currentVersion(name nebula.Name) nebula.Version {
	if c := p.live(name); c != nil {
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

func versionOf(record []byte) nebula.Version {
	sum := sha256.Sum256(record)
	return nebula.Version(hex.EncodeToString(sum[:16]))
}
