package azureserver

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// The limits of the service.
const (
	maxName        = 127
	maxValue       = 25600 // bytes
	maxTags        = 15
	maxTag         = 512 // characters of a key, and of a value
	maxContentType = 255
	maxPage        = 25
)

// Delays say how long changes of state take.
type Delays struct {
	Delete       time.Duration // until a deleted secret is seen as deleted
	Recover      time.Duration // until a recovered secret can be read
	RecoverWrite time.Duration // after that, until it can be written
	Purge        time.Duration // until a purged name is free
}

// DefaultDelays returns delays within those that were recorded: 2 to 10 s for deletion
// and for recovery, less than 10 s for a purge. That writes are refused after a
// recovery comes from users' reports, which give no times.
func DefaultDelays() Delays {
	return Delays{Delete: 3 * time.Second, Recover: 3 * time.Second, RecoverWrite: 2 * time.Second, Purge: 4 * time.Second}
}

// Vault is one key vault. It has soft delete, as all vaults have had since 2025.
type Vault struct {
	server *Server
	host   string

	mu         sync.Mutex
	secrets    map[string]*secret   // by name in upper case
	keys       map[string]*vaultKey // the same
	delays     Delays
	retention  int // days
	protected  bool
	pages      []int
	challenge  string
	policy     Policy
	allowed    map[string]bool // actions; nil: all
	newVersion func() string
}

// Vault returns the vault with this name, and makes it, empty, if there is none. Its
// address is https://NAME.vault.azure.net.
func (s *Server) Vault(name string) *Vault {
	s.mu.Lock()
	defer s.mu.Unlock()
	host := strings.ToLower(name) + vaultSuffix
	v := s.vaults[host]
	if v == nil {
		v = &Vault{server: s, host: host, secrets: map[string]*secret{}, keys: map[string]*vaultKey{}, delays: s.options.Delays,
			retention: 90, newVersion: newVersion}
		s.vaults[host] = v
	}
	return v
}

// URL returns the address of the vault, without a slash at its end.
func (v *Vault) URL() string { return "https://" + v.host }

// Requests returns those of Server.Requests that went to this vault.
func (v *Vault) Requests() []Request {
	return slices.DeleteFunc(v.server.Requests(), func(r Request) bool { return r.Host != v.host })
}

// Count is Server.Count for this vault.
func (v *Vault) Count(op Operation) int { return countOf(v.Requests(), op) }

// SetDelays changes how long changes of state take, from the next one on.
func (v *Vault) SetDelays(d Delays) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.delays = d
}

// SetPurgeProtection makes the vault refuse to purge.
func (v *Vault) SetPurgeProtection(on bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.protected = on
}

// SetRetention sets for how many days deleted secrets are kept: 7 to 90. The first
// value is 90.
func (v *Vault) SetRetention(days int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.retention = days
}

// Allow makes the vault refuse what a role with these actions does not allow, such as
// Microsoft.KeyVault/vaults/keys/unwrap/action. Without actions, it allows everything.
func (v *Vault) Allow(actions ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.allowed = nil
	for _, action := range actions {
		if v.allowed == nil {
			v.allowed = make(map[string]bool)
		}
		v.allowed[action] = true
	}
}

// allows reports whether the role of the caller allows an operation.
func (v *Vault) allows(op Operation) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.allowed == nil || v.allowed[op.Action()]
}

// SetPages limits the pages of all further lists: the first page has at most as many
// items as the first number says, and so on. After that, pages are as usual. A 0 makes
// an empty page that has a next one. Without numbers, all pages are as usual.
func (v *Vault) SetPages(items ...int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pages = items
}

// SetChallenge replaces the header WWW-Authenticate of refused requests, for example by
// one that names another login, tenant or resource. "" restores the vault's own.
func (v *Vault) SetChallenge(header string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.challenge = header
}

// SetVersionIDs replaces the source of version ids. Without it, they are 32 random
// hexadecimal digits.
func (v *Vault) SetVersionIDs(next func() string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.newVersion = next
}

func newVersion() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// secret is everything under a secret's name.
type secret struct {
	name     string // as it was spelled first
	versions map[string]*version
	latest   *version
	managed  bool // belongs to a certificate
	life
}

// version is one version of a secret.
type version struct {
	id               string
	value            string
	contentType      *string
	tags             map[string]string // nil if none was ever sent
	enabled          bool
	nbf, exp         *int64
	created, updated int64
}

// recoveryLevel returns the service's name for this setting.
func (v *Vault) recoveryLevel() string {
	level := "Recoverable"
	if v.retention != 90 {
		level = "CustomizedRecoverable"
	}
	if !v.protected {
		level += "+Purgeable"
	}
	return level
}

// find returns the secret and its state, or nil if there is none.
func (v *Vault) find(name string) (*secret, state) {
	key := strings.ToUpper(name)
	c := v.secrets[key]
	if c == nil {
		return nil, absent
	}
	s := c.state(v.server.now())
	if s == absent {
		delete(v.secrets, key)
		return nil, absent
	}
	return c, s
}

// sorted returns the secrets in one of these states, in the order of lists:
// by name, ignoring case.
func (v *Vault) sorted(in func(state) bool) []*secret {
	now := v.server.now()
	var list []*secret
	for _, key := range slices.Sorted(maps.Keys(v.secrets)) {
		if c := v.secrets[key]; in(c.state(now)) {
			list = append(list, c)
		}
	}
	return list
}

// Seed is a version of a secret, put into a vault or read from it without the API.
type Seed struct {
	Name        string
	Value       string
	ContentType string
	Tags        map[string]string
	Disabled    bool
	Managed     bool // it belongs to a certificate
	NotBefore   time.Time
	Expires     time.Time
}

// Add writes a new version, as SetSecret does, whatever state the name is in.
func (v *Vault) Add(s Seed) {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := &version{value: s.Value, enabled: !s.Disabled, tags: maps.Clone(s.Tags), nbf: unix(s.NotBefore), exp: unix(s.Expires)}
	if s.ContentType != "" {
		n.contentType = &s.ContentType
	}
	c := v.write(s.Name, n)
	c.asked, c.managed = live, s.Managed
}

func unix(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	u := t.Unix()
	return &u
}

// write adds the version to its name and makes it the latest.
func (v *Vault) write(name string, n *version) *secret {
	n.id = v.newVersion()
	n.created = v.server.now().Unix()
	n.updated = n.created
	c, _ := v.find(name)
	if c == nil {
		c = &secret{name: name, versions: map[string]*version{}, life: life{asked: live}}
		v.secrets[strings.ToUpper(name)] = c
	}
	c.versions[n.id], c.latest = n, n
	return c
}

// State returns the state of a name: live, being deleted, deleted, being recovered
// (with ", but there" when it can be read), being purged, absent.
func (v *Vault) State(name string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, s := v.find(name)
	return string(s)
}

// Latest returns the latest version of a secret, whatever state it is in.
func (v *Vault) Latest(name string) (Seed, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c, _ := v.find(name)
	if c == nil {
		return Seed{}, fmt.Errorf("azureserver: no secret %s", name)
	}
	n := c.latest
	s := Seed{Name: c.name, Value: n.value, Tags: maps.Clone(n.tags), Disabled: !n.enabled, Managed: c.managed,
		NotBefore: fromUnix(n.nbf), Expires: fromUnix(n.exp)}
	if n.contentType != nil {
		s.ContentType = *n.contentType
	}
	return s, nil
}

// Value returns the value of Latest.
func (v *Vault) Value(name string) (string, error) {
	s, err := v.Latest(name)
	return s.Value, err
}

func fromUnix(u *int64) time.Time {
	if u == nil {
		return time.Time{}
	}
	return time.Unix(*u, 0)
}
