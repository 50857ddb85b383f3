package provider

import (
	"context"
	"io"
	"log/slog"

	"github.com/nebula-credential/nebula"
)

// Options are what the New of every provider takes beside its configuration.
type Options struct {
	// Metrics count the operations. nil: nothing is counted.
	Metrics *StorageMetrics

	// Logger gets one line for each operation, at level Debug, or Warn if it
	// failed. nil: operations are not logged.
	Logger *slog.Logger

	// Warnings get what no call fails for, a login that can no longer be renewed
	// for example. Never nil after NewOptions: Logger if that is given, else a
	// logger that drops them.
	Warnings *slog.Logger

	// Interceptors run around everything else, once for each call, the first
	// of them outermost.
	Interceptors []Interceptor

	// Clock is never nil after NewOptions.
	Clock Clock

	// OneShot says that the process makes a few calls and ends: no login is
	// kept alive in the background.
	OneShot bool

	// Stderr is where programs write that a provider starts, to log in for
	// example. Never nil after NewOptions.
	Stderr io.Writer
}

// Option changes the options of a provider.
type Option func(*Options)

// NewOptions returns what a list of options comes to, with the system's clock
// and no standard error unless they name others.
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

// WithWarnings logs what no call fails for: see [Options].
func WithWarnings(l *slog.Logger) Option { return func(o *Options) { o.Warnings = l } }

// WithInterceptors adds interceptors inside of those that were added before.
func WithInterceptors(list ...Interceptor) Option {
	return func(o *Options) { o.Interceptors = append(o.Interceptors, list...) }
}

// WithClock takes the time from c.
func WithClock(c Clock) Option { return func(o *Options) { o.Clock = c } }

// WithStderr gives programs that a provider starts a standard error.
func WithStderr(w io.Writer) Option { return func(o *Options) { o.Stderr = w } }

// OneShot is for a process that makes a few calls and ends.
func OneShot() Option { return func(o *Options) { o.OneShot = true } }

// Call says what is being called. Only Op and Provider are fit for the label
// of a metric: a name is not.
type Call struct {
	Op       string      // one of the constants of this package
	Provider string      // as the driver describes itself: local, aws, …
	Name     nebula.Name // zero for connect, list, retrieve_batch and check

	// Options are those of a store; of a delete, its precondition; else zero.
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

// layers returns what is around each attempt, the outermost first. The order is
// that of the package's documentation. A provider that nobody observes and that
// has no policy has none.
func layers(policy Policy, o Options) []Interceptor {
	var list []Interceptor
	observed := o.Metrics != nil || o.Logger != nil
	retries := policy.Retry.MaxRetries > 0
	if retries || observed || len(o.Interceptors) > 0 {
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
