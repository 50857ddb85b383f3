package providertest

import (
	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// callsObserved: every call goes through the interceptors exactly once.
func callsObserved(r *rig) {
	e := r.record("counted")
	for _, o := range r.operations(r.p, e) {
		before := r.calls.of(o.op)
		_ = o.call(r.ctx) // other rules check whether it succeeds
		if got := r.calls.of(o.op) - before; got != 1 {
			r.Errorf("%s went through the interceptor %d times", o.op, got)
		}
	}
	if c, ok := nebula.As[nebula.Checker](r.p); ok {
		before := r.calls.of(provider.OpCheck)
		c.Check(r.ctx)
		if got := r.calls.of(provider.OpCheck) - before; got != 1 {
			r.Errorf("check went through the interceptor %d times", got)
		}
	}
	if _, ok := nebula.As[nebula.Connector](r.p); ok && r.calls.of(provider.OpConnect) != 1 {
		r.Errorf("connect went through the interceptor %d times", r.calls.of(provider.OpConnect))
	}
}

// callsCounted: the metrics count each call and each failure. "Not found" is not
// counted as a failure.
func callsCounted(r *rig) {
	e := r.record("measured")
	r.store(e)
	r.holds(e)
	r.absent(r.named("missing"))
	if r.h.Preconditions != Refused {
		_, err := r.tryStore(e, nebula.IfAbsent())
		r.fails(err, nebula.ErrAlreadyExists, provider.OpStore, e.name)
	}
	stores, failures := uint64(1), uint64(0)
	if r.h.Preconditions != Refused {
		stores, failures = 2, 1
	}
	if got := r.metrics.StoreCount(); got != stores {
		r.Errorf("%d stores were counted, want %d", got, stores)
	}
	if got := r.metrics.RetrieveCount(); got != 2 {
		r.Errorf("%d retrievals were counted, want 2", got)
	}
	if got := r.metrics.ErrorCount(); got != failures {
		r.Errorf("%d failures were counted, want %d", got, failures)
	}
	if r.metrics.StoreLatencySum() <= 0 {
		r.Error("the metrics have no time for the stores")
	}
}

// pagesObserved: each page of a list is a call.
func pagesObserved(r *rig) {
	r.fill("paged", r.many(250))
	before := r.calls.of(provider.OpList)
	l, calls := r.reader(nebula.Filter{}), 0
	for ; !l.ended; calls++ {
		r.ok(l.page(r.ctx), "list")
	}
	if got := r.calls.of(provider.OpList) - before; got != calls {
		r.Errorf("%d calls of NextPage went through the interceptor %d times", calls, got)
	}
}
