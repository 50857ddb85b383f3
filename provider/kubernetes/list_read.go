package kubernetes

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/nebula-credential/nebula"
)

// maxReads limits the calls under way if each is for one Secret.
const maxReads = 16

// readEach reads the Secrets whose metadata is not enough, some at a time.
func (g *pages) readEach(ctx context.Context, unsure []objectMeta) ([]nebula.Entry, error) {
	found := make([]*nebula.Entry, len(unsure))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxReads)
	for i, m := range unsure {
		group.Go(func() (err error) {
			found[i], err = g.readOne(ctx, m)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var entries []nebula.Entry
	for _, entry := range found {
		if entry != nil {
			entries = append(entries, *entry)
		}
	}
	return entries, nil
}

// readOne returns the entry of a Secret, or nil if it is not ours or does not
// match the filter. If that cannot be found out, it is listed with the reason.
func (g *pages) readOne(ctx context.Context, m objectMeta) (*nebula.Entry, error) {
	marked := m.Annotations[idAnnotation] != "" || m.Labels[storeLabel] != ""
	name, ours := g.d.names.parse(m)
	if !ours {
		name, ours = g.d.names.decode(m.Name)
	}
	if !ours {
		return g.readLost(ctx, m, marked)
	}
	s, err := g.d.readOurs(ctx, name, acceptJSON, kindSecret)
	var record nebula.Record
	if err == nil {
		record, err = s.record(name)
	}
	switch kind := nebula.KindOf(g.d.located(name, err)); {
	case err == nil:
		metadata := record.Envelope.Metadata()
		if !g.filter.Matches(name.ID(), metadata) {
			return nil, nil
		}
		return &nebula.Entry{ID: name.ID(), Version: record.Version, Metadata: &metadata}, nil
	case kind == nebula.ErrNotFound:
		return nil, nil // gone since it was listed
	case isOfRecord(kind) && !marked && kind != nebula.ErrPermissionDenied:
		return nil, nil // a stranger's
	case isOfRecord(kind):
		return &nebula.Entry{ID: name.ID(), Version: m.version(), Err: err}, nil
	}
	return nil, err
}

// readLost is readOne for a Secret whose id is not known. It is listed by the
// name of the Secret.
func (g *pages) readLost(ctx context.Context, m objectMeta, marked bool) (*nebula.Entry, error) {
	lost := &nebula.Entry{ID: nebula.ID(m.Name), Version: m.version(), Err: g.d.errLost(m.Name)}
	if marked {
		return lost, nil
	}
	s, err := g.d.read(ctx, m.Name, acceptJSON, kindSecret)
	switch kind := nebula.KindOf(g.d.located(nebula.Name{}, err)); {
	case kind == nebula.ErrPermissionDenied:
		lost.Err = err
		return lost, nil
	case kind == nebula.ErrNotFound, err == nil && !s.isRecord(nebula.Name{}):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return lost, nil
}

// located explains an error. It returns nil for nil.
func (d *driver) located(name nebula.Name, err error) error {
	if err == nil {
		return nil
	}
	return d.Explain(name, err)
}

// isOfRecord reports whether a failure concerns one Secret, and not the way to
// the server.
func isOfRecord(kind nebula.Kind) bool {
	switch kind {
	case nebula.ErrCorrupted, nebula.ErrUnsupportedVersion, nebula.ErrTooLarge, nebula.ErrPermissionDenied:
		return true
	}
	return false
}
