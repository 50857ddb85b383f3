package middleware

import (
	"log/slog"

	"github.com/nebula-credential/nebula"
)

// Options go with [Stack]. The zero value takes the provider's own policy and
// observes nothing.
type Options struct {
	Policy  *Policy         // nil: that of the provider, see [Policied]
	Metrics *StorageMetrics // nil: none are kept
	Logger  *slog.Logger    // nil: nothing is logged
	Clock   Clock           // nil: the system's

	// Outer run around everything else, once for each call: spans, for example.
	Outer []Interceptor
}

// Stack puts around a provider what every provider needs. This is the one
// place that says in which order, from the outside:
//
//	outer     spans and the like: one a call, retries included
//	observe   metrics and log: the time that the caller waited
//	retry     repeats what is below
//	limit     a turn is for an attempt: who waits to try again holds none
//	timeout   of an attempt, not counting the wait for its turn
func Stack(p nebula.Provider, o Options) nebula.Provider {
	policy := o.policy(p)
	clock := o.Clock
	if clock == nil {
		clock = SystemClock{}
	}
	metrics := o.Metrics
	if metrics == nil {
		metrics = new(StorageMetrics)
	}
	interceptors := append([]Interceptor{withRetries}, o.Outer...)
	interceptors = append(interceptors, Observe(metrics, o.Logger, clock))
	if policy.Retry.MaxRetries > 0 {
		interceptors = append(interceptors, Retry(policy.Retry, clock, func(Call) { metrics.RecordRetry() }))
	}
	if policy.MaxConcurrency > 0 {
		interceptors = append(interceptors, Limit(policy.MaxConcurrency))
	}
	if policy.Timeout > 0 {
		interceptors = append(interceptors, Timeout(policy.Timeout, policy.Unbounded...))
	}
	return Wrap(p, interceptors...)
}

func (o Options) policy(p nebula.Provider) Policy {
	if o.Policy != nil {
		return *o.Policy
	}
	for {
		if policied, ok := p.(Policied); ok {
			return policied.Policy()
		}
		wrapper, ok := p.(nebula.Unwrapper)
		if !ok {
			return Policy{}
		}
		p = wrapper.Unwrap()
	}
}
