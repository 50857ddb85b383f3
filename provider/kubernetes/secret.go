package kubernetes

import (
	"context"
	"net/http"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

const (
	// recordKey names the record in the Secret's data.
	recordKey = "record"

	// opaque is the type of our Secrets.
	opaque = "Opaque"

	// maxRecord is the API server's limit for the data of a Secret, in bytes,
	// before base64.
	maxRecord = 1 << 20
)

// objectMeta is what every object of Kubernetes has, as far as it matters here.
type objectMeta struct {
	Name              string            `json:"name,omitempty"`
	UID               string            `json:"uid,omitempty"`
	ResourceVersion   string            `json:"resourceVersion,omitempty"`
	DeletionTimestamp string            `json:"deletionTimestamp,omitempty"`
	Labels            map[string]string `json:"labels,omitempty"`
	Annotations       map[string]string `json:"annotations,omitempty"`
}

// secret is an object of kind Secret, or what is asked of one: its metadata.
type secret struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   objectMeta        `json:"metadata"`
	Type       string            `json:"type,omitempty"`
	Immutable  bool              `json:"immutable,omitempty"`
	Data       map[string][]byte `json:"data,omitempty"`
}

// The kinds of the answers.
const (
	kindSecret       = "Secret"
	kindSecretList   = "SecretList"
	kindMetadata     = "PartialObjectMetadata"
	kindMetadataList = "PartialObjectMetadataList"
)

// stays reports whether the Secret is not being deleted: one that is may wait
// for a finalizer.
func (m objectMeta) stays() bool { return m.DeletionTimestamp == "" }

func (m objectMeta) version() nebula.Version { return nebula.Version(m.ResourceVersion) }

func (s secret) record(name nebula.Name) (nebula.Record, error) {
	raw, ok := s.Data[recordKey]
	if !ok || s.Type != opaque {
		return nebula.Record{}, provider.NotARecord()
	}
	envelope, err := nebula.ParseEnvelope(name, raw)
	if err != nil {
		return nebula.Record{}, err
	}
	return nebula.Record{Envelope: envelope, Version: s.Metadata.version()}, nil
}

// read returns a credential's Secret, whole or its metadata alone.
func (d *driver) read(ctx context.Context, name nebula.Name, accept, kind string) (secret, error) {
	object := d.names.secret(name)
	a, err := d.call(ctx, request{method: http.MethodGet, path: d.secrets() + "/" + object, accept: accept, verb: "get", resource: "secrets"})
	if err != nil {
		return secret{}, err
	}
	return decodeSecret(a, kind, object)
}

// readOurs is read, for a Secret that has to be the credential's and stay.
func (d *driver) readOurs(ctx context.Context, name nebula.Name, accept, kind string) (secret, error) {
	s, err := d.read(ctx, name, accept, kind)
	switch {
	case err != nil:
		return secret{}, err
	case !d.names.holds(s.Metadata, name):
		return secret{}, d.errForeignSecret(s.Metadata.Name)
	case !s.Metadata.stays():
		return secret{}, provider.NotFound()
	}
	return s, nil
}

// Retrieve implements [provider.Driver]. It makes one call.
func (d *driver) Retrieve(ctx context.Context, name nebula.Name) (nebula.Record, error) {
	s, err := d.readOurs(ctx, name, acceptJSON, kindSecret)
	if err != nil {
		return nebula.Record{}, err
	}
	return s.record(name)
}

// Exists implements [provider.Driver]. It makes one call, for metadata.
func (d *driver) Exists(ctx context.Context, name nebula.Name) (bool, error) {
	_, err := d.readOurs(ctx, name, acceptMetadata, kindMetadata)
	if isAbsent(err) {
		return false, nil
	}
	return err == nil, err
}
