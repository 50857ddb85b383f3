package providertest

import (
	"context"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// operation is one call that a provider accepts.
type operation struct {
	op   string
	name nebula.Name // zero if the call is not about one credential
	call func(context.Context) error
}

// operations returns every call that p supports, each about e, except Connect,
// and Check, which returns no error.
func (r *rig) operations(p nebula.Provider, e record) []operation {
	all := []operation{
		{provider.OpStore, e.name, func(ctx context.Context) error {
			_, err := p.Store(ctx, e.name, e.Envelope, nebula.StoreOptions{})
			return err
		}},
		{provider.OpRetrieve, e.name, func(ctx context.Context) error { _, err := p.Retrieve(ctx, e.name); return err }},
		{provider.OpExists, e.name, func(ctx context.Context) error { _, err := p.Exists(ctx, e.name); return err }},
		{provider.OpDelete, e.name, func(ctx context.Context) error { _, err := p.Delete(ctx, e.name, nebula.Precondition{}); return err }},
		{provider.OpList, nebula.Name{}, func(ctx context.Context) error {
			pager := p.List(ctx, nebula.Filter{})
			defer pager.Close()
			_, err := pager.NextPage(ctx)
			return err
		}},
	}
	return append(all, abilityOperations(p, e)...)
}

func abilityOperations(p nebula.Provider, e record) []operation {
	name := e.name
	var all []operation
	if a, ok := nebula.As[nebula.Restorer](p); ok {
		all = append(all, operation{provider.OpRestore, name,
			func(ctx context.Context) error { return a.Restore(ctx, name) }})
	}
	if a, ok := nebula.As[nebula.Purger](p); ok {
		all = append(all, operation{provider.OpPurge, name,
			func(ctx context.Context) error { _, err := a.Purge(ctx, name); return err }})
	}
	if a, ok := nebula.As[nebula.Historian](p); ok {
		all = append(all, operation{provider.OpHistory, name,
			func(ctx context.Context) error { _, err := a.History(ctx, name); return err }})
	}
	if a, ok := nebula.As[nebula.VersionRetriever](p); ok {
		all = append(all, operation{provider.OpRetrieveVersion, name,
			func(ctx context.Context) error { _, err := a.RetrieveVersion(ctx, name, "0"); return err }})
	}
	if a, ok := nebula.As[nebula.BatchRetriever](p); ok {
		all = append(all, operation{provider.OpRetrieveBatch, nebula.Name{},
			func(ctx context.Context) error { _, err := a.RetrieveBatch(ctx, []nebula.Name{name}); return err }})
	}
	if a, ok := nebula.As[nebula.BatchStorer](p); ok {
		all = append(all, operation{provider.OpStoreBatch, nebula.Name{},
			func(ctx context.Context) error { _, err := a.StoreBatch(ctx, []nebula.BatchItem{e.item()}); return err }})
	}
	if a, ok := nebula.As[nebula.Identifier](p); ok {
		all = append(all, operation{provider.OpIdentity, nebula.Name{},
			func(ctx context.Context) error { _, err := a.Identity(ctx); return err }})
	}
	return all
}
