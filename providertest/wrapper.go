package providertest

import (
	"slices"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/middleware"
)

// wrapperAbilities: the wrapped provider has the abilities of the bare one: no
// more, no fewer, one wrapper or two.
func wrapperAbilities(r *rig) {
	want := abilitiesOf(r.bare)
	for _, p := range []nebula.Provider{r.p, middleware.Wrap(r.p), middleware.Wrap(r.bare)} {
		if got := abilitiesOf(p); !slices.Equal(got, want) {
			r.Errorf("the wrapped provider has %v, the bare one %v", got, want)
		}
	}
}

// wrapperCounts: every call goes through the interceptor, once.
func wrapperCounts(r *rig) {
	e := r.record("counted")
	for _, o := range r.operations(r.p, e) {
		before := r.calls.of(o.op)
		_ = o.call(r.ctx) // whether it succeeds is for other rules
		if got := r.calls.of(o.op) - before; got != 1 {
			r.Errorf("%s went through the interceptor %d times", o.op, got)
		}
	}
	if c, ok := nebula.As[nebula.Checker](r.p); ok {
		before := r.calls.of(middleware.OpCheck)
		c.Check(r.ctx)
		if got := r.calls.of(middleware.OpCheck) - before; got != 1 {
			r.Errorf("check went through the interceptor %d times", got)
		}
	}
	if _, ok := nebula.As[nebula.Connector](r.p); ok && r.calls.of(middleware.OpConnect) != 1 {
		r.Errorf("connect went through the interceptor %d times", r.calls.of(middleware.OpConnect))
	}
}

// wrapperPages: each page of a list is a call.
func wrapperPages(r *rig) {
	r.fill("paged", r.many(250))
	before := r.calls.of(middleware.OpList)
	l, calls := r.reader(nebula.Filter{}), 0
	for ; !l.ended; calls++ {
		r.ok(l.page(r.ctx), "list")
	}
	if got := r.calls.of(middleware.OpList) - before; got != calls {
		r.Errorf("%d calls of NextPage went through the interceptor %d times", calls, got)
	}
}
