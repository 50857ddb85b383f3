package providertest

import (
	"github.com/nebula-credential/nebula"
)

// identityStays: a backend with a keyring has an identity. It stays the same after
// writes and for another provider over it, and differs from that of another backend.
func identityStays(r *rig) {
	a := need[nebula.Identifier](r)
	identity := func(a nebula.Identifier) string {
		r.Helper()
		text, err := a.Identity(r.ctx)
		r.ok(err, "identity")
		return text
	}
	identity(a) // the backend may still be empty
	first, second := keyrings()
	r.store(first)
	want := identity(a)
	if want == "" {
		r.Fatal("a backend with a keyring has no identity")
	}
	r.store(r.record("x"))
	r.store(second)
	if got := identity(a); got != want {
		r.Errorf("after writes the identity is %q, before %q", got, want)
	}
	other := r.fresh()
	r.connect(other)
	_, err := other.Store(r.ctx, first.name, first.Envelope, nebula.StoreOptions{})
	r.ok(err, "store a keyring")
	if got := identity(other.(nebula.Identifier)); got == want {
		r.Errorf("two backends have the identity %q", got)
	}
	again, ok := nebula.As[nebula.Identifier](r.reopen())
	if !ok {
		r.Fatal("another provider over the backend has no Identity")
	}
	if got := identity(again); got != want {
		r.Errorf("another provider says %q, the first one %q", got, want)
	}
}

// fits checks that Fits says before a write whether the write will succeed.
func (r *rig) fits(e record, err error) {
	r.Helper()
	a, ok := nebula.As[nebula.Fitter](r.p)
	if !ok {
		return
	}
	refused, said := nebula.KindOf(err) == nebula.ErrInvalidMetadata, a.Fits(e.name, e.Envelope)
	if fits := said == nil; fits == refused {
		r.Errorf("Fits says %v for %s, and Store %v", said, e.name, err)
	}
}
