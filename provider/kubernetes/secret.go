package kubernetes

import (
	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/remote"
)

const (
	// recordKey is where in the Secret's data the record stands.
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

// being reports whether the Secret is there and stays: one that is deleted may
// wait for a finalizer.
func (m objectMeta) being() bool { return m.DeletionTimestamp == "" }

func (m objectMeta) version() nebula.Version { return nebula.Version(m.ResourceVersion) }

func (s secret) record(name nebula.Name) (nebula.Record, error) {
	raw, ok := s.Data[recordKey]
	if !ok || s.Type != opaque {
		return nebula.Record{}, remote.ErrForeign()
	}
	envelope, err := nebula.ParseEnvelope(name, raw)
	if err != nil {
		return nebula.Record{}, err
	}
	return nebula.Record{Envelope: envelope, Version: s.Metadata.version()}, nil
}
