package provider

import (
	"context"
	"io"
	"log/slog"

	"github.com/nebula-credential/nebula"
)

// Options are the arguments of every provider's New beside its configuration.
type Options struct {
	// Metrics count the operations. nil: nothing is counted.
	Metrics *StorageMetrics

	// Logger gets one line for each operation, at level Debug, or Warn if it
	// failed. nil: operations are not logged.
	Logger *slog.Logger

	// Warnings gets problems that no call fails for, for example a login that
	// can no longer be renewed. Never nil after NewOptions: Logger if that is
	// given, else a logger that drops everything.
	Warnings *slog.Logger

	// Interceptors run once for each call, around all other layers; the first is
	// the outermost.
	Interceptors []Interceptor

	// Clock is never nil after NewOptions.
	Clock Clock

	// OneShot says that the process makes a few calls and ends: the provider
	// renews no login in the background.
	OneShot bool

	// Stderr is the standard error of programs that the provider starts, for
	// example to log in. Never nil after NewOptions.
	Stderr io.Writer
}

// Option changes the options of a provider.
type Option func(*Options)

// NewOptions applies a list of options. The defaults are the system's clock and
// a Stderr that drops everything.
func NewOptions(list ...Option) Options {
	o := Options{Clock: SystemClock{}, Stderr: io.Discard}
	for _, set := range list {
		set(&o)
	}
	if o.Warnings == nil {
		o.Warnings = o.Logger
	}
	if o.Warnings == nil {
		o.Warnings = slog.New(slog.DiscardHandler)
	}
	return o
}

// WithMetrics counts the operations in m.
func WithMetrics(m *StorageMetrics) Option { return func(o *Options) { o.Metrics = m } }

// WithLogger logs the operations: see [Options].
func WithLogger(l *slog.Logger) Option { return func(o *Options) { o.Logger = l } }

// WithWarnings logs problems that no call fails for: see [Options].
func WithWarnings(l *slog.Logger) Option { return func(o *Options) { o.Warnings = l } }

// WithInterceptors adds interceptors, inside the ones that were added before.
func WithInterceptors(list ...Interceptor) Option {
	return func(o *Options) { o.Interceptors = append(o.Interceptors, list...) }
}

// WithClock takes the time from c.
func WithClock(c Clock) Option { return func(o *Options) { o.Clock = c } }

// WithStderr sets the standard error of programs that the provider starts.
func WithStderr(w io.Writer) Option { return func(o *Options) { o.Stderr = w } }

// OneShot is for a process that makes a few calls and ends.
func OneShot() Option { return func(o *Options) { o.OneShot = true } }

// Call describes a call to interceptors. Of its fields, only Op and Provider are
// fit for the label of a metric: there are too many names, and they are private.
type Call struct {
	Op       string      // one of the constants of this package
	Provider string      // as the driver describes itself: local, aws, …
	Name     nebula.Name // zero for connect, list, retrieve_batch, store_batch and check

	// Options of a store. A delete has its Precondition; other operations have
	// none.
	Options nebula.StoreOptions
}

// Interceptor runs around a call. It calls next to go on: any number of times,
// one after the other, with its own context if it wants to. The error that it
// returns is the error of the call. The results are those of the last next; if
// an interceptor returns nil and never called next, the caller gets zero
// results.
//
// Every next must have returned before the interceptor returns: to limit the
// time, set a deadline on the context and wait for next.
//
// The end of a list is not a failure: next returns nil, and the caller of
// NextPage gets [io.EOF]. Check returns no error, so the error of an interceptor
// becomes a finding.
type Interceptor func(ctx context.Context, call Call, next func(context.Context) error) error

// layers returns the layers around each call, the outermost first, in the order
// of the package's documentation. A provider without observers and policy has
// none.
func layers(policy Policy, o Options) []Interceptor {
	var list []Interceptor
	observed := o.Metrics != nil || o.Logger != nil
	retries := policy.Retry.MaxRetries > 0
	if retries {
		list = append(list, withRetries)
	}
	list = append(list, o.Interceptors...)
	if observed {
		list = append(list, observe(o.Metrics, o.Logger, o.Clock))
	}
	if retries {
		list = append(list, retry(policy.Retry, o.Clock, o.Metrics))
	}
	if policy.MaxConcurrency > 0 {
		list = append(list, limit(policy.MaxConcurrency))
	}
	if policy.Timeout > 0 {
		list = append(list, timeout(policy.Timeout, policy.Unbounded...))
	}
	return list
}
