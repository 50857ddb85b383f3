package middleware

import (
	"context"
	"slices"

	"github.com/nebula-credential/nebula"
)

// The operations, as a [Call] and an [nebula.Error] name them.
const (
	OpConnect         = "connect"
	OpStore           = "store"
	OpRetrieve        = "retrieve"
	OpDelete          = "delete"
	OpList            = "list" // one page
	OpExists          = "exists"
	OpRestore         = "restore"
	OpPurge           = "purge"
	OpHistory         = "history"
	OpRetrieveVersion = "retrieve_version"
	OpRetrieveBatch   = "retrieve_batch"
	OpCheck           = "check"
)

// Call says what is being called. Only Op and Provider are fit for the label
// of a metric: a name is not.
type Call struct {
	Op       string      // one of the constants of this package
	Provider string      // as the provider describes itself: local, aws, …
	Name     nebula.Name // zero for connect, list, retrieve_batch and check

	// Options are those of a store, else zero.
	Options nebula.StoreOptions
}

// Interceptor runs around a call. It calls next to go on, as often as it
// likes, one after the other, and with a context of its own where it wants to.
// What it returns is how the call fails, or nil. The results are those of the
// last next; an interceptor that returns nil without having called next gives
// the caller zero results.
//
// Every next must have returned when the interceptor returns: a limit of time
// is set by the context, not by leaving next behind.
//
// The end of a list is no failure: next returns nil then, and the caller of
// NextPage gets [io.EOF]. Check has no error to return, so one that an
// interceptor returns becomes a finding.
type Interceptor func(ctx context.Context, call Call, next func(context.Context) error) error

// Wrap returns p with the interceptors around each of its calls, the first of
// them outermost. What it returns unwraps to p.
func Wrap(p nebula.Provider, interceptors ...Interceptor) nebula.Provider {
	return &wrapper{inner: p, name: describe(p).Provider, interceptors: slices.Clone(interceptors)}
}

type wrapper struct {
	inner        nebula.Provider
	name         string
	interceptors []Interceptor
}

// A wrapper has every ability. Whether it may be used is for nebula.As to say.
var _ interface {
	nebula.Provider
	nebula.Unwrapper
	nebula.Connector
	nebula.Describer
	nebula.Restorer
	nebula.Purger
	nebula.Historian
	nebula.VersionRetriever
	nebula.BatchRetriever
	nebula.Checker
} = (*wrapper)(nil)

// Unwrap returns the provider inside, as [nebula.Unwrapper] asks.
func (w *wrapper) Unwrap() nebula.Provider { return w.inner }

// run goes through the interceptors, from the one of index i on, to the call.
func (w *wrapper) run(ctx context.Context, c Call, i int, call func(context.Context) error) error {
	if i == len(w.interceptors) {
		return call(ctx)
	}
	return w.interceptors[i](ctx, c, func(ctx context.Context) error { return w.run(ctx, c, i+1, call) })
}

// do runs a call that has a result besides its error.
func do[R any](ctx context.Context, w *wrapper, c Call, call func(context.Context) (R, error)) (R, error) {
	var result R
	c.Provider = w.name
	err := w.run(ctx, c, 0, func(ctx context.Context) (err error) {
		result, err = call(ctx)
		return err
	})
	if err != nil {
		var none R
		return none, err
	}
	return result, nil
}

// doPlain runs a call that has only an error.
func doPlain(ctx context.Context, w *wrapper, c Call, call func(context.Context) error) error {
	c.Provider = w.name
	return w.run(ctx, c, 0, call)
}

func (w *wrapper) Store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, options nebula.StoreOptions) (nebula.Version, error) {
	return do(ctx, w, Call{Op: OpStore, Name: name, Options: options}, func(ctx context.Context) (nebula.Version, error) {
		return w.inner.Store(ctx, name, envelope, options)
	})
}

func (w *wrapper) Retrieve(ctx context.Context, name nebula.Name) (nebula.Record, error) {
	return do(ctx, w, Call{Op: OpRetrieve, Name: name}, func(ctx context.Context) (nebula.Record, error) {
		return w.inner.Retrieve(ctx, name)
	})
}

func (w *wrapper) Delete(ctx context.Context, name nebula.Name) error {
	return doPlain(ctx, w, Call{Op: OpDelete, Name: name}, func(ctx context.Context) error {
		return w.inner.Delete(ctx, name)
	})
}

func (w *wrapper) Exists(ctx context.Context, name nebula.Name) (bool, error) {
	return do(ctx, w, Call{Op: OpExists, Name: name}, func(ctx context.Context) (bool, error) {
		return w.inner.Exists(ctx, name)
	})
}

func (w *wrapper) List(ctx context.Context, filter nebula.Filter) nebula.Pager {
	return &pager{w: w, inner: w.inner.List(ctx, filter)}
}
