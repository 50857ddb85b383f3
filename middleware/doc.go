// Package middleware puts interceptors around a provider: code that runs
// before, after, instead of, or several times around each of its calls.
//
//	p := middleware.Wrap(provider, count, trace)
//
// There is one wrapper type, and it has the methods of every ability that a
// provider can have, so that none is hidden: ask with [nebula.As], which looks
// at the provider inside and hands out the wrapped form. Each page of a list
// is a call of its own and can be repeated and timed like any other.
//
// [Stack] puts around a provider what every networked one needs, in the one
// order: observing, retries, turns, limits of time. [RetryPolicy] and
// [StorageMetrics] are those of every provider. Collectors for Prometheus and
// spans for OpenTelemetry are packages of their own, so that this one needs
// neither.
//
// # Order
//
// The first interceptor is the outermost. Wrap(p, a, b) runs a, which runs b,
// which calls p; the outcome comes back through b to a. Wrap(Wrap(p, b), a) is
// the same as Wrap(p, a, b).
//
// # What is passed by
//
// State, Describe, Close and the Close of a pager are passed on directly. They
// take no context and, but for the closing, do no I/O.
package middleware
