package kubernetes

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// maxRounds bounds how often others may come between two calls of an operation.
const maxRounds = 100

// writing is a record on its way into a Secret.
type writing struct {
	name   nebula.Name
	object secret

	// stale are the labels of tags that the record before had and this one has
	// not. known says that there are no others: then labels of others stay.
	stale []string
	known bool

	version nebula.Version // that is written over; "" for any
}

// Store implements [provider.Driver]. It makes one call, and two for a new
// credential that is not stored on a condition.
func (d *driver) Store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, options nebula.StoreOptions) (nebula.Version, error) {
	object, err := d.project(name, envelope)
	if err != nil {
		return "", err
	}
	w := writing{name: name, object: object, known: name.IsKeyring() || options.Previous != nil}
	if options.Previous != nil {
		for key, value := range options.Previous.Metadata().Tags {
			if _, stays := object.Metadata.Labels[tagLabel(key)]; fitsLabel(key, value) && !stays {
				w.stale = append(w.stale, tagLabel(key))
			}
		}
	}
	var m objectMeta
	if options.Precondition.IsAbsent() {
		m, err = d.writeAbsent(ctx, w)
	} else if v, ok := options.Precondition.Version(); ok {
		w.version = v
		m, err = d.writeOver(ctx, w)
	} else {
		m, err = d.writeAnyway(ctx, w)
	}
	return m.version(), err
}

// writeAnyway writes whatever stands there. A repetition changes nothing where
// the earlier attempt was carried out: the patch is of what is there already.
func (d *driver) writeAnyway(ctx context.Context, w writing) (objectMeta, error) {
	var m objectMeta
	var err error
	for range maxRounds {
		if m, err = d.patch(ctx, w); isMissing(err) {
			m, err = d.create(ctx, w)
		}
		if !isTaken(err) && !isRaced(err) {
			break
		}
	}
	return m, err
}

// writeAbsent writes where there is none.
func (d *driver) writeAbsent(ctx context.Context, w writing) (objectMeta, error) {
	var m objectMeta
	var err error
	for range maxRounds {
		if m, err = d.create(ctx, w); !isTaken(err) {
			return m, err
		}
		there, failed := d.read(ctx, w.name, acceptMetadata, kindMetadata)
		switch {
		case isMissing(failed):
			continue // deleted meanwhile
		case failed != nil:
			return objectMeta{}, failed
		case !d.names.holds(there.Metadata, w.name):
			return objectMeta{}, d.errForeignSecret(there.Metadata.Name)
		case !there.Metadata.stays():
			return objectMeta{}, d.errFinalizing(there.Metadata.Name)
		case provider.IsRepeat(ctx) && there.Metadata.digest() == w.digest():
			return there.Metadata, nil // the earlier attempt did it: no two seals are alike
		}
		return objectMeta{}, nebula.IfAbsent().Check(there.Metadata.version())
	}
	return m, err
}

// writeOver writes over that version.
func (d *driver) writeOver(ctx context.Context, w writing) (objectMeta, error) {
	if !isRevision(string(w.version)) {
		return objectMeta{}, provider.NotCurrent(w.version, nil)
	}
	m, err := d.patch(ctx, w)
	if !isMissing(err) && !isRaced(err) {
		return m, err
	}
	if provider.IsRepeat(ctx) {
		there, failed := d.readOurs(ctx, w.name, acceptMetadata, kindMetadata)
		if failed == nil && there.Metadata.digest() == w.digest() {
			return there.Metadata, nil
		}
		if failed != nil && !isAbsent(failed) {
			return objectMeta{}, failed
		}
	}
	return objectMeta{}, provider.NotCurrent(w.version, err)
}

func (w writing) digest() string { return w.object.Metadata.digest() }

// create makes the Secret, on condition that there is none of that name.
func (d *driver) create(ctx context.Context, w writing) (objectMeta, error) {
	a, err := d.change(ctx, w.name, request{method: http.MethodPost, path: d.secrets(), query: managed(), accept: acceptMetadata,
		body: w.object, verb: "create", resource: "secrets"})
	if err != nil {
		return objectMeta{}, err
	}
	s, err := decodeSecret(a, kindMetadata, w.object.Metadata.Name)
	return s.Metadata, err
}

// patch changes the Secret if it is the credential's. The server applies all
// operations to one state of the object, or none.
func (d *driver) patch(ctx context.Context, w writing) (objectMeta, error) {
	name := w.object.Metadata.Name
	a, err := d.change(ctx, w.name, request{method: http.MethodPatch, path: d.secrets() + "/" + name, query: managed(), accept: acceptMetadata,
		content: contentPatch, body: w.operations(), verb: "patch", resource: "secrets"})
	if isUnfit(err) {
		return d.unfit(ctx, w, err)
	}
	if err != nil {
		return objectMeta{}, err
	}
	s, err := decodeSecret(a, kindMetadata, name)
	return s.Metadata, err
}

// unfit finds out why a patch was refused. A Secret whose labels were all taken
// away gets them again.
func (d *driver) unfit(ctx context.Context, w writing, refusal error) (objectMeta, error) {
	s, err := d.read(ctx, w.name, acceptJSON, kindSecret)
	m := s.Metadata
	switch {
	case err != nil:
		return objectMeta{}, err
	case !d.names.holds(m, w.name), s.Type != opaque:
		return objectMeta{}, d.errForeignSecret(m.Name)
	case !m.stays() && w.version != "":
		return objectMeta{}, provider.NotCurrent(w.version, d.errFinalizing(m.Name))
	case !m.stays():
		return objectMeta{}, d.errFinalizing(m.Name)
	case s.Immutable:
		return objectMeta{}, d.errImmutable(m.Name)
	case w.known && len(m.Labels) == 0:
		w.known = false
		return d.patch(ctx, w)
	}
	return objectMeta{}, refusal
}

// Delete implements [provider.Driver]: for good. It makes two calls: one looks
// whose the Secret is, the other deletes it on condition that it is still as it
// was seen. So a request that arrives late removes nothing that was written
// since.
func (d *driver) Delete(ctx context.Context, name nebula.Name, condition nebula.Precondition) (bool, error) {
	var existed bool
	var err error
	for range maxRounds {
		if existed, err = d.remove(ctx, name, condition); !isRaced(err) {
			break
		}
	}
	return existed, err
}

func (d *driver) remove(ctx context.Context, name nebula.Name, condition nebula.Precondition) (bool, error) {
	s, err := d.read(ctx, name, acceptMetadata, kindMetadata)
	m := s.Metadata
	switch {
	case isMissing(err), err == nil && d.names.holds(m, name) && !m.stays():
		if provider.IsRepeat(ctx) {
			return false, nil // the earlier attempt may have deleted it
		}
		return false, condition.Check("")
	case err != nil:
		return false, err
	case !d.names.holds(m, name):
		return false, d.errForeignSecret(m.Name)
	}
	if err := condition.Check(m.version()); err != nil {
		return false, err
	}
	_, err = d.change(ctx, name, request{method: http.MethodDelete, path: d.secrets() + "/" + m.Name, accept: acceptMetadata,
		body: map[string]any{"apiVersion": "v1", "kind": "DeleteOptions",
			"preconditions": map[string]string{"uid": m.UID, "resourceVersion": m.ResourceVersion}},
		verb: "delete", resource: "secrets"})
	if isMissing(err) {
		return false, condition.Check("") // somebody else deleted it meanwhile
	}
	return err == nil, err
}

func managed() map[string][]string { return map[string][]string{"fieldManager": {fieldManager}} }

// operation is one of a JSON patch, RFC 6902.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// operations returns those that write the record into its Secret.
func (w writing) operations() []operation {
	m := w.object.Metadata
	list := []operation{
		{"test", "/metadata/annotations/" + pointer(idAnnotation), w.name.String()},
		{"test", "/type", opaque},
		{"test", "/metadata/deletionTimestamp", nil},
		{"add", "/data", w.object.Data},
	}
	if w.version != "" {
		// Not a test: the server compares it itself, and says that it differs.
		list = append(list, operation{"replace", "/metadata/resourceVersion", w.version})
	}
	for _, key := range sorted(m.Annotations) {
		list = append(list, operation{"add", "/metadata/annotations/" + pointer(key), m.Annotations[key]})
	}
	if !w.known {
		return append(list, operation{"add", "/metadata/labels", m.Labels})
	}
	for _, key := range sorted(m.Labels) {
		list = append(list, operation{"add", "/metadata/labels/" + pointer(key), m.Labels[key]})
	}
	slices.Sort(w.stale)
	for _, key := range w.stale {
		// What is not there cannot be removed: it may have been, by others.
		path := "/metadata/labels/" + pointer(key)
		list = append(list, operation{"add", path, ""}, operation{"remove", path, nil})
	}
	return list
}

// pointer writes a key for a path of RFC 6901.
func pointer(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}
