package memory

import (
	"context"
	"slices"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// The driver has all abilities, so that every rule of the suite runs somewhere.
var _ interface {
	provider.Driver
	nebula.Restorer
	nebula.Purger
	nebula.Historian
	nebula.VersionRetriever
	nebula.BatchRetriever
	nebula.BatchStorer
	nebula.Notifier
	nebula.Identifier
	nebula.Checker
} = (*driver)(nil)

// Restore implements [nebula.Restorer].
func (d *driver) Restore(_ context.Context, name nebula.Name) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch c := d.credentials[name]; {
	case c == nil:
		return provider.NothingToRestore()
	case !c.deleted:
		return provider.NotDeleted()
	default:
		c.deleted = false
		d.tell(name)
		return nil
	}
}

// Purge implements [nebula.Purger].
func (d *driver) Purge(_ context.Context, name nebula.Name) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, existed := d.credentials[name]
	delete(d.credentials, name)
	d.tell(name)
	return existed, nil
}

// History implements [nebula.Historian].
func (d *driver) History(_ context.Context, name nebula.Name) ([]nebula.VersionInfo, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	c := d.live(name)
	if c == nil {
		return nil, provider.NotFound()
	}
	history := make([]nebula.VersionInfo, 0, len(c.versions))
	for _, v := range slices.Backward(c.versions) {
		history = append(history, nebula.VersionInfo{Version: v.id, CreatedAt: v.createdAt, Current: len(history) == 0})
	}
	return history, nil
}

// RetrieveVersion implements [nebula.VersionRetriever].
func (d *driver) RetrieveVersion(_ context.Context, name nebula.Name, id nebula.Version) (nebula.Record, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if c := d.live(name); c != nil {
		for _, v := range c.versions {
			if v.id == id {
				return v.record()
			}
		}
	}
	return nebula.Record{}, provider.NoSuchVersion()
}

// RetrieveBatch implements [nebula.BatchRetriever].
func (d *driver) RetrieveBatch(ctx context.Context, names []nebula.Name) ([]nebula.BatchResult, error) {
	results := make([]nebula.BatchResult, len(names))
	for i, name := range names {
		results[i].Record, results[i].Err = d.Retrieve(ctx, name)
	}
	return results, nil
}

// StoreBatch implements [nebula.BatchStorer].
func (d *driver) StoreBatch(ctx context.Context, items []nebula.BatchItem) ([]nebula.BatchOutcome, error) {
	outcomes := make([]nebula.BatchOutcome, len(items))
	for i, item := range items {
		outcomes[i].Version, outcomes[i].Err = d.Store(ctx, item.Name, item.Envelope, item.Options)
	}
	return outcomes, nil
}

// Check implements [nebula.Checker]. Nothing can be missing.
func (d *driver) Check(context.Context) []nebula.Finding {
	return []nebula.Finding{{Check: "state", Severity: nebula.SeverityOK, Message: "connected"}}
}
