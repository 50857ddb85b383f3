package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/nebula-credential/nebula"
)

// The keys of labels and annotations that are ours. By convention a key has a
// domain before the slash; no other software uses this word there.
const (
	domain             = "nebula-credential"
	tagDomain          = "tag." + domain
	idAnnotation       = domain + "/id"
	metadataAnnotation = domain + "/metadata"
	storeLabel         = domain + "/store"
	keyLabel           = domain + "/key"
)

// maxAnnotations is the API server's limit for keys and values of all
// annotations, in bytes.
const maxAnnotations = 256 << 10

// listed is the content of the annotation for lists, as JSON.
type listed struct {
	CreatedAt    time.Time         `json:"created_at,omitzero"`
	LastModified time.Time         `json:"last_modified,omitzero"`
	LastAccessed time.Time         `json:"last_accessed,omitzero"`
	CreatedBy    string            `json:"created_by,omitempty"`
	Scope        string            `json:"scope,omitempty"`
	RotationDays uint32            `json:"rotation_days,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	SHA256       string            `json:"sha256"` // of the record, in hex

	// Before names the records that came before: see past.go.
	Before []string `json:"before,omitempty"`
}

func digest(record []byte) string {
	sum := sha256.Sum256(record)
	return hex.EncodeToString(sum[:])
}

// project returns the Secret of a record, which names the records before it. It fails if that
// exceeds a limit of Kubernetes. The keyring has nothing that lists need.
func (d *driver) project(name nebula.Name, envelope *nebula.Envelope, before []string) (secret, error) {
	l := listed{SHA256: digest(envelope.Bytes()), Before: before}
	labels := maps.Clone(d.config.DefaultLabels)
	if labels == nil {
		labels = make(map[string]string)
	}
	labels[storeLabel], labels[keyLabel] = d.names.store(), keyOf(name)
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
	annotations := maps.Clone(d.config.DefaultAnnotations)
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
		Metadata: objectMeta{Name: d.names.secret(name), Labels: labels, Annotations: annotations},
		Data:     map[string][]byte{recordKey: envelope.Bytes()}}, nil
}

// unproject is the inverse of project. It returns false if project did not make
// the annotation.
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

// tagLabel is the key of a tag's label. The server's rule for the part after
// the slash ensures that it cannot be another tag.
func tagLabel(key string) string { return tagDomain + "/" + key }

// fitsLabel reports whether the server can select by the tag.
func fitsLabel(key, value string) bool { return isLabelName(key) && isLabelValue(value) }
