package vault

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/remote"
)

// secret is what a read of a secret gives.
type secret struct {
	Data     map[string]any `json:"data"`
	Metadata struct {
		Version        int64             `json:"version"`
		CreatedTime    string            `json:"created_time"`
		DeletionTime   string            `json:"deletion_time"`
		CustomMetadata map[string]string `json:"custom_metadata"`
	} `json:"metadata"`
}

// recordKey is where in the secret's data the record stands.
const recordKey = "record"

func (s secret) version() nebula.Version {
	return formatVersion(s.Metadata.Version, s.Metadata.CreatedTime)
}

func (s secret) record(name nebula.Name) (nebula.Record, error) {
	raw, ok := s.Data[recordKey].(string)
	if !ok {
		return nebula.Record{}, remote.ErrForeign()
	}
	envelope, err := nebula.ParseEnvelope(name, []byte(raw))
	if err != nil {
		return nebula.Record{}, err
	}
	return nebula.Record{Envelope: envelope, Version: s.version()}, nil
}

// read reads a secret, in the version of that number or, with 0, the current one.
func (p *Provider) read(ctx context.Context, name nebula.Name, number int64) (secret, error) {
	r := request{method: http.MethodGet, path: p.paths.secret("data", name)}
	if number != 0 {
		r.query = map[string][]string{"version": {strconv.FormatInt(number, 10)}}
	}
	a, err := p.call(ctx, r)
	if err != nil {
		return secret{}, err
	}
	s, err := decode[secret](a)
	if err == nil && s.Metadata.Version == 0 {
		// KV version 1 answers too, with data of its own form.
		err = p.errMount()
	}
	p.noteSchedule(s.Metadata.DeletionTime)
	return s, err
}

// noteSchedule remembers that there are live versions with a time of deletion:
// Vault leaves them out where it leaves out deleted ones.
func (p *Provider) noteSchedule(deletion string) {
	if deletion != "" {
		p.scheduled.Store(true)
	}
}

// secretMetadata is what Vault keeps of a secret beside its values.
type secretMetadata struct {
	CurrentVersion int64                      `json:"current_version"`
	Versions       map[string]versionMetadata `json:"versions"`
	CustomMetadata map[string]string          `json:"custom_metadata"`

	now time.Time // of the server
}

type versionMetadata struct {
	CreatedTime  string `json:"created_time"`
	DeletionTime string `json:"deletion_time"`
	Destroyed    bool   `json:"destroyed"`
}

func (p *Provider) readMetadata(ctx context.Context, name nebula.Name) (secretMetadata, error) {
	a, err := p.call(ctx, request{method: http.MethodGet, path: p.paths.secret("metadata", name)})
	if err != nil {
		return secretMetadata{}, err
	}
	m, err := decode[secretMetadata](a)
	m.now = p.serverTime(a)
	return m, err
}

// serverTime returns the time by which the server judges what is deleted. Its
// header has whole seconds, so that a deletion just now would lie ahead of it.
func (p *Provider) serverTime(a *answer) time.Time {
	if at, err := http.ParseTime(a.header.Get("Date")); err == nil {
		return at.Add(time.Second)
	}
	return p.clock.Now()
}

// latest returns what is kept of the current version, be it deleted.
func (m secretMetadata) latest() (versionMetadata, bool) {
	v, ok := m.Versions[strconv.FormatInt(m.CurrentVersion, 10)]
	return v, ok
}

// live reports whether the current version can be read.
func (m secretMetadata) live() bool {
	v, ok := m.latest()
	return ok && !m.gone(v)
}

func (m secretMetadata) gone(v versionMetadata) bool {
	if v.Destroyed || v.DeletionTime == "" {
		return v.Destroyed
	}
	at, err := time.Parse(time.RFC3339Nano, v.DeletionTime)
	return err == nil && !at.After(m.now)
}

// current returns the version of a live record, or "".
func (m secretMetadata) current() nebula.Version {
	v, ok := m.latest()
	if !ok || m.gone(v) {
		return ""
	}
	return formatVersion(m.CurrentVersion, v.CreatedTime)
}

// modified returns when the current version was written.
func (m secretMetadata) modified() time.Time {
	v, _ := m.latest()
	at, _ := time.Parse(time.RFC3339Nano, v.CreatedTime)
	return at.UTC()
}
