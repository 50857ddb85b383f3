package vault

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/internal/vaultapi"
	"github.com/nebula-credential/nebula/provider"
)

// secret is the answer to a read of a secret.
type secret struct {
	Data     map[string]any `json:"data"`
	Metadata struct {
		versionMetadata
		Version        int64             `json:"version"`
		CustomMetadata map[string]string `json:"custom_metadata"`
	} `json:"metadata"`
}

// recordKey is the key of the record in the secret's data.
const recordKey = "record"

func (s secret) version() nebula.Version {
	return formatVersion(s.Metadata.Version, s.Metadata.CreatedTime)
}

func (s secret) record(name nebula.Name) (nebula.Record, error) {
	raw, _ := s.Data[recordKey].(string)
	if s.isForeign(name, raw) {
		return nebula.Record{}, provider.NotARecord()
	}
	envelope, err := nebula.ParseEnvelope(name, []byte(raw))
	if err != nil {
		return nebula.Record{}, err
	}
	return nebula.Record{Envelope: envelope, Version: s.version()}, nil
}

// recordBegin is the beginning of every record, of any version.
const recordBegin = `{"version":`

// isForeign reports whether somebody else's secret is in the place of a
// credential: it has neither our mark nor a record. The keyring has no mark.
func (s secret) isForeign(name nebula.Name, raw string) bool {
	return !name.IsKeyring() && !isMarked(s.Metadata.CustomMetadata) && !strings.HasPrefix(raw, recordBegin)
}

// Retrieve implements [provider.Driver]. It makes one call.
func (d *driver) Retrieve(ctx context.Context, name nebula.Name) (nebula.Record, error) {
	s, err := d.read(ctx, name, 0)
	if isMissing(err) && name.IsKeyring() && s.Metadata.Version != 0 {
		err = d.errKeyringDeleted(s.Metadata.Version, s.Metadata.versionMetadata)
	}
	if err != nil {
		return nebula.Record{}, err
	}
	d.recent.Note(name, s.version())
	if name.IsKeyring() {
		d.extendKeyring(ctx, s)
	}
	record, err := s.record(name)
	if errors.Is(err, nebula.ErrNotARecord) {
		err = provider.NotARecordAt(providerName + ":" + strings.TrimPrefix(d.paths.prefix+"/"+name.String(), "/"))
	}
	return record, err
}

// Exists implements [provider.Driver]. It reads the metadata: one call.
func (d *driver) Exists(ctx context.Context, name nebula.Name) (bool, error) {
	m, err := d.readMetadata(ctx, name)
	switch {
	case isMissing(err):
		return false, nil
	case err != nil:
		return false, err
	}
	return m.live(), d.keyringDeleted(name, m)
}

// read reads a secret, in the version of that number or, with 0, the current
// one. If the version is deleted, its metadata comes with the error.
func (d *driver) read(ctx context.Context, name nebula.Name, number int64) (secret, error) {
	r := vaultapi.Request{Method: http.MethodGet, Path: d.paths.secret("data", name)}
	if number != 0 {
		r.Query = map[string][]string{"version": {strconv.FormatInt(number, 10)}}
	}
	a, err := d.api.Call(ctx, r)
	if isMissing(err) {
		s, _ := vaultapi.Decode[secret](d.api, a) // no data: it was never there
		return s, err
	}
	if err != nil {
		return secret{}, err
	}
	s, err := vaultapi.Decode[secret](d.api, a)
	if err == nil && s.Metadata.Version == 0 {
		// KV version 1 answers too, with data of its own form.
		err = d.errMount()
	}
	d.noteSchedule(s.Metadata.DeletionTime)
	return s, err
}

// noteSchedule remembers that there are live versions with a time of deletion,
// because Vault leaves them out of lists, like deleted ones.
func (d *driver) noteSchedule(deletion string) {
	if deletion != "" {
		d.scheduled.Store(true)
	}
}

// secretMetadata is what Vault keeps about a secret beside its values.
type secretMetadata struct {
	CreatedTime    string                     `json:"created_time"` // of the first version
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

func (d *driver) readMetadata(ctx context.Context, name nebula.Name) (secretMetadata, error) {
	a, err := d.api.Call(ctx, vaultapi.Request{Method: http.MethodGet, Path: d.paths.secret("metadata", name)})
	if err != nil {
		return secretMetadata{}, err
	}
	m, err := vaultapi.Decode[secretMetadata](d.api, a)
	if err == nil && m.Versions == nil {
		err = d.errMount() // KV version 1 has a secret of that path
	}
	m.now = d.serverTime(a)
	return m, err
}

// serverTime returns the time by which the server judges what is deleted. Its
// header has whole seconds, so a deletion of this moment would lie ahead of it.
func (d *driver) serverTime(a *httpx.Answer) time.Time {
	if at, err := http.ParseTime(a.Header.Get("Date")); err == nil {
		return at.Add(time.Second)
	}
	return d.options.Clock.Now()
}

// numbers are those of all versions that Vault has kept, sorted.
func (m secretMetadata) numbers() (all []int64) {
	for text := range m.Versions {
		if n, ok := parseNumber(text); ok {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

func (m secretMetadata) version(number int64) versionMetadata {
	return m.Versions[strconv.FormatInt(number, 10)]
}

// latest returns the entry of the current version, deleted or not.
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

// replacedDeleted reports whether the version of that number was deleted before
// the next one was written.
func (m secretMetadata) replacedDeleted(number int64) bool {
	deleted, err := time.Parse(time.RFC3339Nano, m.version(number).DeletionTime)
	next, err2 := time.Parse(time.RFC3339Nano, m.version(number+1).CreatedTime)
	return err == nil && err2 == nil && !deleted.After(next)
}

// current returns the version of a live record, or "".
func (m secretMetadata) current() nebula.Version {
	v, ok := m.latest()
	if !ok || m.gone(v) {
		return ""
	}
	return formatVersion(m.CurrentVersion, v.CreatedTime)
}

// times returns when the secret and its current version were written.
func (m secretMetadata) times() (created, modified time.Time) {
	v, _ := m.latest()
	created, _ = time.Parse(time.RFC3339Nano, m.CreatedTime)
	modified, _ = time.Parse(time.RFC3339Nano, v.CreatedTime)
	return created.UTC(), modified.UTC()
}
