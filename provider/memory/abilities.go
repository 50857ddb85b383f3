package memory

import (
	"context"
	"slices"

	"github.com/nebula-credential/nebula"
)

// All of them, so that the suite's rules for each are tried somewhere.
var _ interface {
	nebula.Provider
	nebula.Connector
	nebula.Describer
	nebula.Restorer
	nebula.Purger
	nebula.Historian
	nebula.VersionRetriever
	nebula.BatchRetriever
	nebula.Checker
} = (*Provider)(nil)

// Restore implements [nebula.Restorer].
func (p *Provider) Restore(ctx context.Context, name nebula.Name) error {
	const op = "restore"
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.readyFor(ctx, name); err != nil {
		return located(err, op, name)
	}
	switch c := p.credentials[name]; {
	case c == nil:
		return located(&nebula.Error{Kind: nebula.ErrNotFound, Message: "there is nothing to restore"}, op, name)
	case !c.deleted:
		return located(&nebula.Error{Kind: nebula.ErrConflict, Message: "the credential is not deleted"}, op, name)
	default:
		c.deleted = false
		return nil
	}
}

// Purge implements [nebula.Purger].
func (p *Provider) Purge(ctx context.Context, name nebula.Name) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.readyToRemove(ctx, name); err != nil {
		return located(err, "purge", name)
	}
	delete(p.credentials, name)
	return nil
}

// History implements [nebula.Historian].
func (p *Provider) History(ctx context.Context, name nebula.Name) ([]nebula.VersionInfo, error) {
	const op = "history"
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.readyFor(ctx, name); err != nil {
		return nil, located(err, op, name)
	}
	c := p.live(name)
	if c == nil {
		return nil, located(errNotFound(), op, name)
	}
	history := make([]nebula.VersionInfo, 0, len(c.versions))
	for _, v := range slices.Backward(c.versions) {
		history = append(history, nebula.VersionInfo{Version: v.id, CreatedAt: v.createdAt, Current: len(history) == 0})
	}
	return history, nil
}

// RetrieveVersion implements [nebula.VersionRetriever].
func (p *Provider) RetrieveVersion(ctx context.Context, name nebula.Name, v nebula.Version) (nebula.Record, error) {
	record, err := p.retrieveVersion(ctx, name, v)
	return record, located(err, "retrieve_version", name)
}

func (p *Provider) retrieveVersion(ctx context.Context, name nebula.Name, id nebula.Version) (nebula.Record, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.readyFor(ctx, name); err != nil {
		return nebula.Record{}, err
	}
	if c := p.live(name); c != nil {
		for _, v := range c.versions {
			if v.id == id {
				return v.record()
			}
		}
	}
	return nebula.Record{}, &nebula.Error{Kind: nebula.ErrNotFound, Message: "there is no such version"}
}

// RetrieveBatch implements [nebula.BatchRetriever].
func (p *Provider) RetrieveBatch(ctx context.Context, names []nebula.Name) ([]nebula.BatchResult, error) {
	p.mu.RLock()
	err := p.ready(ctx)
	p.mu.RUnlock()
	if err != nil {
		return nil, located(err, "retrieve_batch", nebula.Name{})
	}
	results := make([]nebula.BatchResult, len(names))
	for i, name := range names {
		record, err := p.retrieve(ctx, name)
		results[i] = nebula.BatchResult{Record: record, Err: located(err, "retrieve_batch", name)}
	}
	return results, nil
}
