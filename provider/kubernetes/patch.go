package kubernetes

import (
	"maps"
	"slices"
	"strings"
)

// operation is an operation of a JSON patch, RFC 6902.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// operations returns the operations that write the record into its Secret, if
// that is marked as the credential's. Labels and annotations of others stay.
func (w writing) operations() []operation {
	m := w.object.Metadata
	list := []operation{
		{"test", "/metadata/annotations/" + pointer(idAnnotation), w.name.String()},
		{"test", "/type", opaque},
		{"test", "/metadata/deletionTimestamp", nil},
		{"add", "/data", w.object.Data},
	}
	if w.version != "" {
		list = append(list, unchanged(objectMeta{ResourceVersion: string(w.version)}))
	}
	for _, key := range sorted(m.Annotations) {
		list = append(list, operation{"add", "/metadata/annotations/" + pointer(key), m.Annotations[key]})
	}
	for _, key := range sorted(m.Labels) {
		list = append(list, operation{"add", "/metadata/labels/" + pointer(key), m.Labels[key]})
	}
	slices.Sort(w.stale)
	for _, key := range w.stale {
		// A patch cannot remove what is not there, and others may have removed
		// it.
		path := "/metadata/labels/" + pointer(key)
		list = append(list, operation{"add", path, ""}, operation{"remove", path, nil})
	}
	return list
}

// operationsOn returns the operations that write the record into its Secret as
// it was seen. They do not require our marks, and put all of them back.
func (w writing) operationsOn(seen objectMeta) []operation {
	labels, annotations := maps.Clone(seen.Labels), maps.Clone(seen.Annotations)
	if labels == nil {
		labels = make(map[string]string)
	}
	if annotations == nil {
		annotations = make(map[string]string)
	}
	for _, key := range w.left(seen) {
		delete(labels, key)
	}
	maps.Copy(labels, w.object.Metadata.Labels)
	maps.Copy(annotations, w.object.Metadata.Annotations)
	return []operation{
		unchanged(seen),
		{"test", "/type", opaque},
		{"add", "/data", w.object.Data},
		{"add", "/metadata/annotations", annotations},
		{"add", "/metadata/labels", labels},
	}
}

// left returns the existing labels of tags that the record does not have.
func (w writing) left(there objectMeta) []string {
	var left []string
	for _, key := range sorted(there.Labels) {
		if _, ours := w.object.Metadata.Labels[key]; !ours && strings.HasPrefix(key, tagDomain+"/") {
			left = append(left, key)
		}
	}
	return left
}

// unchanged is the condition that the version is the one that was seen. It is
// not a test of the patch: the server itself compares the version, and says
// that it differs.
func unchanged(seen objectMeta) operation {
	return operation{"replace", "/metadata/resourceVersion", seen.ResourceVersion}
}

// pointer writes a key for a path of RFC 6901.
func pointer(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}
