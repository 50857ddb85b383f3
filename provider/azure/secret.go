package azure

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/remote"
)

// secret is what stands under a name.
type secret struct {
	exists    bool
	ours      bool           // the tags say that it is the record of that name
	version   nebula.Version // "" where it is not known
	value     string
	purgeable bool
}

// get reads a secret, in that version or, with "", the current one.
func (p *Provider) get(ctx context.Context, name nebula.Name, version string) (secret, error) {
	r, err := read(ctx, p, func(ctx context.Context) (azsecrets.GetSecretResponse, error) {
		return p.client.GetSecret(ctx, p.names.secret(name), version, nil)
	})
	if err != nil {
		return secret{}, err
	}
	if r.ID == nil || r.Value == nil {
		return secret{}, errForeignAnswer()
	}
	found, id, ok := parseSecretID(string(*r.ID))
	if !ok || id == "" || !strings.EqualFold(found, p.names.secret(name)) {
		return secret{}, errForeignAnswer()
	}
	return secret{exists: true, ours: p.owns(name, r.Tags, r.Managed), version: nebula.Version(id), value: *r.Value,
		purgeable: isPurgeable(r.Attributes)}, nil
}

func (s secret) record(name nebula.Name) (nebula.Record, error) {
	if !s.ours {
		return nebula.Record{}, remote.ErrForeign()
	}
	envelope, err := nebula.ParseEnvelope(name, []byte(s.value))
	if err != nil {
		return nebula.Record{}, err
	}
	return nebula.Record{Envelope: envelope, Version: s.version}, nil
}

// owns reports whether the tags are those of that name's record. What belongs
// to a certificate is managed by Key Vault.
func (p *Provider) owns(name nebula.Name, tags map[string]*string, managed *bool) bool {
	l, _, ok := unproject(tags)
	return ok && l.ID == name.String() && (managed == nil || !*managed)
}

// isPurgeable is true where the vault does not say.
func isPurgeable(a *azsecrets.SecretAttributes) bool {
	return a == nil || a.RecoveryLevel == nil || strings.Contains(strings.ToLower(*a.RecoveryLevel), "purgeable")
}

// look reads a secret to see what it is. A disabled one cannot be read, but
// its versions are listed with their tags.
func (p *Provider) look(ctx context.Context, name nebula.Name) (secret, error) {
	s, err := p.get(ctx, name, "")
	switch {
	case isMissing(err):
		return secret{}, nil
	case !isDisabled(err):
		return s, err
	}
	versions, err := p.versions(ctx, name)
	if err != nil {
		return secret{}, err
	}
	s = secret{exists: true, purgeable: true}
	for _, v := range versions {
		s.ours = s.ours || p.owns(name, v.Tags, v.Managed)
		s.purgeable = s.purgeable && isPurgeable(v.Attributes)
	}
	return s, nil
}

// lookDeleted reads a deleted secret to see what it is. It says that there is
// none for some seconds after a deletion, too.
func (p *Provider) lookDeleted(ctx context.Context, name nebula.Name) (secret, error) {
	r, err := read(ctx, p, func(ctx context.Context) (azsecrets.GetDeletedSecretResponse, error) {
		return p.client.GetDeletedSecret(ctx, p.names.secret(name), nil)
	})
	if isMissing(err) {
		return secret{}, nil
	}
	if err != nil {
		return secret{}, err
	}
	if r.ID == nil {
		return secret{}, errForeignAnswer()
	}
	return secret{exists: true, ours: p.owns(name, r.Tags, r.Managed), purgeable: isPurgeable(r.Attributes)}, nil
}

const (
	// sightHolds is how long a read of the caller is as good as one of ours
	// before a write on condition. Key Vault does not compare, so that there is
	// a time between the two in any case.
	sightHolds = 2 * time.Second

	// mostRemembered bounds each of the memories.
	mostRemembered = 10_000
)

// memory is what was seen of names. It spares calls; whoever knows nothing asks.
type memory struct {
	mu     sync.Mutex
	ours   map[nebula.Name]bool
	sights map[nebula.Name]sight
}

// sight is what a caller read.
type sight struct {
	version nebula.Version // "" where there was none
	at      time.Time
}

// noteOurs remembers that a record of ours stands there. Only a deletion
// changes that, and then only where others write to our names.
func (m *memory) noteOurs(name nebula.Name) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ours == nil || len(m.ours) >= mostRemembered {
		m.ours = make(map[nebula.Name]bool)
	}
	m.ours[name] = true
}

func (m *memory) isOurs(name nebula.Name) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ours[name]
}

func (m *memory) noteSight(name nebula.Name, v nebula.Version, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sights == nil || len(m.sights) >= mostRemembered {
		m.sights = make(map[nebula.Name]sight)
	}
	m.sights[name] = sight{version: v, at: now}
}

// takeSight returns what was read of a name a moment ago. It serves one write.
func (m *memory) takeSight(name nebula.Name, now time.Time) (v nebula.Version, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.sights[name]
	delete(m.sights, name)
	age := now.Sub(s.at)
	return s.version, ok && age >= 0 && age < sightHolds
}

func (m *memory) forget(name nebula.Name) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.ours, name)
	delete(m.sights, name)
}
