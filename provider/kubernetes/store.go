package kubernetes

import (
	"context"
	"net/http"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// maxRounds limits how often others may come between two calls of an operation.
const maxRounds = 100

// writing is a record on its way into a Secret.
type writing struct {
	name   nebula.Name
	object secret

	// stale are the labels of tags that the earlier record had and this one
	// does not have, as far as they are known.
	stale []string

	version nebula.Version // that is written over; "" for any
}

// Store implements [provider.Driver]. It makes one call, and two for a new
// credential that is not stored on a condition.
func (d *driver) Store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, options nebula.StoreOptions) (nebula.Version, error) {
	object, err := d.project(name, envelope, d.before(name, options))
	if err != nil {
		return "", err
	}
	w := writing{name: name, object: object}
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
	if err != nil {
		return "", err
	}
	d.note(name, m)
	return m.version(), nil
}

// writeAnyway writes over any state, unless the earlier attempt did it.
func (d *driver) writeAnyway(ctx context.Context, w writing) (objectMeta, error) {
	var m objectMeta
	var err error
	if provider.IsRepeat(ctx) {
		there, failed := d.readOurs(ctx, w.name, acceptMetadata, kindMetadata)
		switch done := w.outcome(there.Metadata); {
		case failed != nil && !isAbsent(failed):
			return objectMeta{}, failed
		case failed == nil && done == current:
			return there.Metadata, nil
		case failed == nil && done == overwritten:
			return w.overwrittenVersion(), nil
		}
	}
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

// writeAbsent writes if there is none.
func (d *driver) writeAbsent(ctx context.Context, w writing) (objectMeta, error) {
	var m objectMeta
	var err error
	for range maxRounds {
		if m, err = d.create(ctx, w); !isTaken(err) {
			return m, err
		}
		there, failed := d.readOwned(ctx, w.name, acceptMetadata, kindMetadata)
		switch {
		case isMissing(failed):
			continue // deleted meanwhile
		case failed != nil:
			return objectMeta{}, failed
		case !there.Metadata.stays():
			return objectMeta{}, d.errFinalizing(there.Metadata.Name)
		case provider.IsRepeat(ctx) && w.outcome(there.Metadata) == current:
			return there.Metadata, nil // the earlier attempt did it: no two seals are alike
		case provider.IsRepeat(ctx) && w.outcome(there.Metadata) == overwritten:
			return w.overwrittenVersion(), nil
		}
		return objectMeta{}, orUnknown(ctx, nebula.IfAbsent().Check(there.Metadata.version()))
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
	if !provider.IsRepeat(ctx) {
		return objectMeta{}, provider.NotCurrent(w.version, err)
	}
	there, failed := d.readOurs(ctx, w.name, acceptMetadata, kindMetadata)
	switch done := w.outcome(there.Metadata); {
	case failed != nil && !isAbsent(failed):
		return objectMeta{}, failed
	case failed == nil && done == current:
		return there.Metadata, nil
	case failed == nil && done == overwritten:
		return w.overwrittenVersion(), nil
	case failed == nil && done == undone:
		return objectMeta{}, provider.NotCurrent(w.version, err)
	}
	return objectMeta{}, orUnknown(ctx, provider.NotCurrent(w.version, err))
}

// create makes the Secret, if there is none of that name.
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
	m, err := d.send(ctx, w, w.operations())
	if isUnfit(err) {
		return d.unfit(ctx, w, err)
	}
	if stale := w.left(m); err == nil && stale != nil {
		return d.clean(ctx, w, m, stale)
	}
	return m, err
}

// send makes the call of a patch.
func (d *driver) send(ctx context.Context, w writing, operations []operation) (objectMeta, error) {
	object := w.object.Metadata.Name
	a, err := d.change(ctx, w.name, request{method: http.MethodPatch, path: d.secrets() + "/" + object, query: managed(), accept: acceptMetadata,
		content: contentPatch, body: operations, verb: "patch", resource: "secrets"})
	if err != nil {
		return objectMeta{}, err
	}
	s, err := decodeSecret(a, kindMetadata, object)
	return s.Metadata, err
}

// clean removes labels that a patch has left, if nobody wrote since: then the
// version is another one, or a label to be removed is gone. Lists compare all tags,
// and do not need this.
func (d *driver) clean(ctx context.Context, w writing, m objectMeta, stale []string) (objectMeta, error) {
	operations := []operation{unchanged(m)}
	for _, label := range stale {
		operations = append(operations, operation{"remove", "/metadata/labels/" + pointer(label), nil})
	}
	cleaned, err := d.send(ctx, w, operations)
	if isRaced(err) || isMissing(err) || isUnfit(err) {
		return m, nil
	}
	return cleaned, err
}

// unfit finds out why a patch was refused. If somebody removed our marks, it
// puts them back.
func (d *driver) unfit(ctx context.Context, w writing, refusal error) (objectMeta, error) {
	s, err := d.readOwned(ctx, w.name, acceptJSON, kindSecret)
	m := s.Metadata
	switch {
	case err != nil:
		return objectMeta{}, err
	case s.Type != opaque:
		return objectMeta{}, d.errForeignSecret(m.Name)
	case !m.stays() && w.version != "":
		return objectMeta{}, provider.NotCurrent(w.version, d.errFinalizing(m.Name))
	case !m.stays():
		return objectMeta{}, d.errFinalizing(m.Name)
	case s.Immutable:
		return objectMeta{}, d.errImmutable(m.Name)
	case d.names.holds(m, w.name) && len(m.Labels) > 0:
		return objectMeta{}, refusal
	case w.version != "" && w.version != m.version():
		return objectMeta{}, provider.NotCurrent(w.version, refusal)
	}
	return d.send(ctx, w, w.operationsOn(m))
}

func managed() map[string][]string { return map[string][]string{"fieldManager": {fieldManager}} }

// Delete implements [provider.Driver]: for good. It makes two calls: the first
// reads whose the Secret is, and the second deletes it on condition that it has
// not changed since. So a request that arrives late removes nothing that was
// written later.
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
	s, err := d.readOwned(ctx, name, acceptMetadata, kindMetadata)
	m := s.Metadata
	switch {
	case isMissing(err), err == nil && !m.stays():
		if provider.IsRepeat(ctx) {
			return false, nil // the earlier attempt may have deleted it
		}
		return false, condition.Check("")
	case err != nil:
		return false, err
	}
	if err := condition.Check(m.version()); err != nil {
		return false, orUnknown(ctx, err)
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
