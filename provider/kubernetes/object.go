package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/remote"
)

// The keys of labels and annotations that are ours. Before the slash of a key
// stands a domain; that of no other software is this word.
const (
	domain             = "nebula-credential"
	tagDomain          = "tag." + domain
	idAnnotation       = domain + "/id"
	metadataAnnotation = domain + "/metadata"
	storeLabel         = domain + "/store"
	keyLabel           = domain + "/key"
)

const (
	// recordKey is where in the Secret's data the record stands.
	recordKey = "record"

	// opaque is the type of our Secrets.
	opaque = "Opaque"

	// maxRecord is the API server's limit for the data of a Secret, in bytes,
	// before base64.
	maxRecord = 1 << 20

	// maxAnnotations is its limit for keys and values of all annotations.
	maxAnnotations = 256 << 10
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

// listed is what the annotation for lists holds, as JSON.
type listed struct {
	CreatedAt    time.Time         `json:"created_at,omitzero"`
	LastModified time.Time         `json:"last_modified,omitzero"`
	LastAccessed time.Time         `json:"last_accessed,omitzero"`
	CreatedBy    string            `json:"created_by,omitempty"`
	Scope        string            `json:"scope,omitempty"`
	RotationDays uint32            `json:"rotation_days,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	SHA256       string            `json:"sha256"` // of the record, in hex
}

func digest(record []byte) string {
	sum := sha256.Sum256(record)
	return hex.EncodeToString(sum[:])
}

// digest returns that of the record that was written with the annotations.
func (m objectMeta) digest() string {
	var l struct {
		SHA256 string `json:"sha256"`
	}
	if json.Unmarshal([]byte(m.Annotations[metadataAnnotation]), &l) != nil {
		return ""
	}
	return l.SHA256
}

// project returns the Secret of a record. It fails where a limit of Kubernetes
// is in the way. The keyring has nothing that lists need.
func (p *Provider) project(name nebula.Name, envelope *nebula.Envelope) (secret, error) {
	l := listed{SHA256: digest(envelope.Bytes())}
	labels := maps.Clone(p.config.DefaultLabels)
	if labels == nil {
		labels = make(map[string]string)
	}
	labels[storeLabel], labels[keyLabel] = p.names.store(), keyOf(name)
	if !name.IsKeyring() {
		m := envelope.Metadata()
		l.CreatedAt, l.LastModified, l.LastAccessed = m.CreatedAt.UTC(), m.LastModified.UTC(), m.LastAccessed.UTC()
		l.CreatedBy, l.Scope, l.RotationDays, l.Tags = m.CreatedBy, m.Scope, m.RotationPolicy.IntervalDays, m.Tags
		for key, value := range m.Tags {
			if fitsLabel(key, value) {
				labels[tagLabel(key)] = value
			}
		}
	}
	text, err := json.Marshal(l)
	if err != nil {
		return secret{}, &nebula.Error{Kind: nebula.ErrInvalidMetadata, Message: "the metadata cannot be written as JSON", Err: err}
	}
	annotations := maps.Clone(p.config.DefaultAnnotations)
	if annotations == nil {
		annotations = make(map[string]string)
	}
	annotations[idAnnotation], annotations[metadataAnnotation] = name.String(), string(text)
	size := 0
	for key, value := range annotations {
		size += len(key) + len(value)
	}
	if size > maxAnnotations {
		return secret{}, &nebula.Error{Kind: nebula.ErrInvalidMetadata,
			Message: fmt.Sprintf("tags and other metadata take %d bytes of annotations, the limit of kubernetes is %d", size, maxAnnotations)}
	}
	return secret{APIVersion: "v1", Kind: kindSecret, Type: opaque,
		Metadata: objectMeta{Name: p.names.secret(name), Labels: labels, Annotations: annotations},
		Data:     map[string][]byte{recordKey: envelope.Bytes()}}, nil
}

// unproject is the mirror of project, and false where the annotation is not one
// that project made.
func unproject(m objectMeta) (nebula.Metadata, bool) {
	var l listed
	if json.Unmarshal([]byte(m.Annotations[metadataAnnotation]), &l) != nil || l.CreatedAt.IsZero() {
		return nebula.Metadata{}, false
	}
	metadata := nebula.Metadata{CreatedAt: l.CreatedAt.UTC(), LastModified: l.LastModified.UTC(), LastAccessed: l.LastAccessed.UTC(),
		CreatedBy: l.CreatedBy, Scope: l.Scope, Tags: l.Tags}
	metadata.RotationPolicy.IntervalDays = l.RotationDays
	return metadata, metadata.Validate() == nil
}

// tagLabel is the key of a tag's label: the server's rule for what stands after
// the slash lets nothing through that could be another tag.
func tagLabel(key string) string { return tagDomain + "/" + key }

// fitsLabel reports whether the server can select by the tag.
func fitsLabel(key, value string) bool { return isLabelName(key) && isLabelValue(value) }
