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

// objectMeta is the metadata of every object of Kubernetes, as far as it
// matters here.
type objectMeta struct {
	Name              string            `json:"name,omitempty"`
	UID               string            `json:"uid,omitempty"`
	ResourceVersion   string            `json:"resourceVersion,omitempty"`
	DeletionTimestamp string            `json:"deletionTimestamp,omitempty"`
	Labels            map[string]string `json:"labels,omitempty"`
	Annotations       map[string]string `json:"annotations,omitempty"`
}

// secret is an object of kind Secret, whole or its metadata alone.
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
	switch holds := ok && s.Type == opaque; {
	case !holds && s.Metadata.Annotations[idAnnotation] == name.String():
		return nebula.Record{}, provider.LostRecord()
	case !holds:
		return nebula.Record{}, provider.NotARecord()
	}
	envelope, err := nebula.ParseEnvelope(name, raw)
	if err != nil {
		return nebula.Record{}, err
	}
	return nebula.Record{Envelope: envelope, Version: s.Metadata.version()}, nil
}

// isRecord reports whether the Secret holds a record in its canonical encoding.
func (s secret) isRecord(name nebula.Name) bool {
	_, err := s.record(name)
	return err == nil
}

// read returns a Secret, whole or its metadata alone. A failure leaves nothing
// unclear: even before a change, this call changes nothing.
func (d *driver) read(ctx context.Context, object, accept, kind string) (secret, error) {
	a, err := d.call(ctx, request{method: http.MethodGet, path: d.secrets() + "/" + object, accept: accept, verb: "get", resource: "secrets"})
	if err != nil {
		explained := *d.Explain(nebula.Name{}, err)
		explained.Err = err
		return secret{}, &explained
	}
	return decodeSecret(a, kind, object)
}

// readOwned is read for a Secret that must be the credential's. The annotation
// says whose it is. If somebody removed that, the Secret in the credential's
// place is the credential's if it is a record. Then the answer is the whole
// Secret.
func (d *driver) readOwned(ctx context.Context, name nebula.Name, accept, kind string) (secret, error) {
	object := d.names.secret(name)
	s, err := d.read(ctx, object, accept, kind)
	if err == nil && kind != kindSecret && d.names.unmarked(s.Metadata) {
		s, err = d.read(ctx, object, acceptJSON, kindSecret)
	}
	if err != nil {
		return secret{}, err
	}
	return s, d.owned(s, name)
}

// owned returns why a Secret is not the credential's. A Secret without a mark
// must be whole.
func (d *driver) owned(s secret, name nebula.Name) error {
	switch {
	case d.names.holds(s.Metadata, name), d.names.unmarked(s.Metadata) && s.isRecord(name):
		return nil
	case d.names.unmarked(s.Metadata):
		return d.errStranger(s.Metadata.Name)
	}
	return d.errForeignSecret(s.Metadata.Name)
}

// readOurs is readOwned for a Secret that is not being deleted.
func (d *driver) readOurs(ctx context.Context, name nebula.Name, accept, kind string) (secret, error) {
	s, err := d.readOwned(ctx, name, accept, kind)
	if err == nil && !s.Metadata.stays() {
		err = provider.NotFound()
	}
	return s, err
}

// Retrieve implements [provider.Driver]. It makes one call.
func (d *driver) Retrieve(ctx context.Context, name nebula.Name) (nebula.Record, error) {
	s, err := d.readOurs(ctx, name, acceptJSON, kindSecret)
	if err != nil {
		return nebula.Record{}, err
	}
	d.note(name, s.Metadata)
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
