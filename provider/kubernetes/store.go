package kubernetes

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/remote"
	"github.com/nebula-credential/nebula/middleware"
)

// mostRounds bounds how often others may come between two calls of an operation.
const mostRounds = 100

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

// Store implements [nebula.Provider]. It makes one call, and two for a new
// credential that is not stored on a condition.
func (p *Provider) Store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, options nebula.StoreOptions) (nebula.Version, error) {
	const op = "store"
	if err := p.life.EnterFor(ctx, name); err != nil {
		return "", p.fail(op, name, err)
	}
	defer p.life.Leave()
	if err := remote.CheckSize(providerName, envelope, maxRecord); err != nil {
		return "", p.fail(op, name, err)
	}
	object, err := p.project(name, envelope)
	if err != nil {
		return "", p.fail(op, name, err)
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
		m, err = p.writeAbsent(ctx, w)
	} else if v, ok := options.Precondition.Version(); ok {
		w.version = v
		m, err = p.writeOver(ctx, w)
	} else {
		m, err = p.writeAnyway(ctx, w)
	}
	return m.version(), p.fail(op, name, err)
}

// writeAnyway writes whatever stands there. A repetition changes nothing where
// the earlier attempt was carried out: the patch is of what is there already.
func (p *Provider) writeAnyway(ctx context.Context, w writing) (objectMeta, error) {
	var m objectMeta
	var err error
	for range mostRounds {
		if m, err = p.patch(ctx, w); isMissing(err) {
			m, err = p.create(ctx, w)
		}
		if !isTaken(err) && !isRaced(err) {
			break
		}
	}
	return m, err
}

// writeAbsent writes where there is none.
func (p *Provider) writeAbsent(ctx context.Context, w writing) (objectMeta, error) {
	var m objectMeta
	var err error
	for range mostRounds {
		if m, err = p.create(ctx, w); !isTaken(err) {
			return m, err
		}
		there, failed := p.read(ctx, w.name, acceptMetadata, kindMetadata)
		switch {
		case isMissing(failed):
			continue // deleted meanwhile
		case failed != nil:
			return objectMeta{}, failed
		case !p.names.holds(there.Metadata, w.name):
			return objectMeta{}, p.errForeignSecret(there.Metadata.Name)
		case !there.Metadata.being():
			return objectMeta{}, p.errFinalizing(there.Metadata.Name)
		case middleware.IsRepeat(ctx) && there.Metadata.digest() == w.digest():
			return there.Metadata, nil // the earlier attempt did it: no two seals are alike
		}
		return objectMeta{}, nebula.IfAbsent().Check(there.Metadata.version())
	}
	return m, err
}

// writeOver writes over that version.
func (p *Provider) writeOver(ctx context.Context, w writing) (objectMeta, error) {
	if !isRevision(string(w.version)) {
		return objectMeta{}, remote.ErrExpected(w.version, nil)
	}
	m, err := p.patch(ctx, w)
	if !isMissing(err) && !isRaced(err) {
		return m, err
	}
	if middleware.IsRepeat(ctx) {
		there, failed := p.readOurs(ctx, w.name, acceptMetadata, kindMetadata)
		if failed == nil && there.Metadata.digest() == w.digest() {
			return there.Metadata, nil
		}
		if failed != nil && p.explain(failed).Kind != nebula.ErrNotFound {
			return objectMeta{}, failed
		}
	}
	return objectMeta{}, remote.ErrExpected(w.version, err)
}

func (w writing) digest() string { return w.object.Metadata.digest() }

// create makes the Secret, on condition that there is none of that name.
func (p *Provider) create(ctx context.Context, w writing) (objectMeta, error) {
	a, err := p.call(ctx, request{method: http.MethodPost, path: p.secrets(), query: managed(), accept: acceptMetadata,
		body: w.object, verb: "create", resource: "secrets"})
	if err != nil {
		return objectMeta{}, err
	}
	s, err := decodeSecret(a, kindMetadata, w.object.Metadata.Name)
	return s.Metadata, err
}

// patch changes the Secret if it is the credential's. The server applies all
// operations to one state of the object, or none.
func (p *Provider) patch(ctx context.Context, w writing) (objectMeta, error) {
	name := w.object.Metadata.Name
	a, err := p.call(ctx, request{method: http.MethodPatch, path: p.secrets() + "/" + name, query: managed(), accept: acceptMetadata,
		content: contentPatch, body: w.operations(), verb: "patch", resource: "secrets"})
	if isUnfit(err) {
		return p.unfit(ctx, w, err)
	}
	if err != nil {
		return objectMeta{}, err
	}
	s, err := decodeSecret(a, kindMetadata, name)
	return s.Metadata, err
}

// unfit finds out why a patch was refused. A Secret whose labels were all taken
// away gets them again.
func (p *Provider) unfit(ctx context.Context, w writing, refusal error) (objectMeta, error) {
	s, err := p.read(ctx, w.name, acceptJSON, kindSecret)
	m := s.Metadata
	switch {
	case err != nil:
		return objectMeta{}, err
	case !p.names.holds(m, w.name), s.Type != opaque:
		return objectMeta{}, p.errForeignSecret(m.Name)
	case !m.being():
		return objectMeta{}, p.errFinalizing(m.Name)
	case s.Immutable:
		return objectMeta{}, p.errImmutable(m.Name)
	case w.known && len(m.Labels) == 0:
		w.known = false
		return p.patch(ctx, w)
	}
	return objectMeta{}, refusal
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
