package providertest

import (
	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// preconditionIfAbsent: IfAbsent writes if there is no record, otherwise it fails
// with ErrAlreadyExists and changes nothing.
func preconditionIfAbsent(r *rig) {
	r.needPreconditions()
	first, second := r.record("absent"), r.record("absent")
	version := r.storeIf(first, nebula.IfAbsent())
	_, err := r.tryStore(second, nebula.IfAbsent())
	r.fails(err, nebula.ErrAlreadyExists, provider.OpStore, first.name)
	// The same holds if the stored record is the same.
	_, err = r.tryStore(first, nebula.IfAbsent())
	r.fails(err, nebula.ErrAlreadyExists, provider.OpStore, first.name)
	if got := r.holds(first); got != version {
		r.Errorf("the refused store left version %q, want %q", got, version)
	}
}

// preconditionIfAbsentDeleted: a deleted record counts as absent.
func preconditionIfAbsentDeleted(r *rig) {
	r.needPreconditions()
	for range 3 {
		e := r.record("absent-again")
		r.storeIf(e, nebula.IfAbsent())
		r.holds(e)
		r.remove(e.name)
	}
	r.absent(r.named("absent-again"))
}

// preconditionIfVersion: IfVersion replaces that version. If another one is
// current, it fails with ErrConflict and changes nothing.
func preconditionIfVersion(r *rig) {
	r.needPreconditions()
	first, second, third := r.record("version"), r.record("version"), r.record("version")
	v1 := r.store(first)
	v2 := r.storeIf(second, nebula.IfVersion(v1))
	if v1 == v2 {
		r.Errorf("both have version %q", v1)
	}
	_, err := r.tryStore(third, nebula.IfVersion(v1))
	r.fails(err, nebula.ErrConflict, provider.OpStore, first.name)
	if got := r.holds(second); got != v2 {
		r.Errorf("the refused store left version %q, want %q", got, v2)
	}
	retrieved := r.holds(second)
	v3 := r.storeIf(third, nebula.IfVersion(retrieved))
	if got := r.holds(third); got != v3 {
		r.Errorf("Store gave version %q, Retrieve %q", v3, got)
	}
}

// preconditionIfVersionMissing: IfVersion conflicts if nothing was ever stored.
func preconditionIfVersionMissing(r *rig) {
	r.needPreconditions()
	other, e := r.record("other"), r.record("missing")
	version := r.store(other)
	_, err := r.tryStore(e, nebula.IfVersion(version))
	r.fails(err, nebula.ErrConflict, provider.OpStore, e.name)
	r.absent(e.name)
}

// preconditionIfVersionDeleted: IfVersion conflicts if the record was deleted,
// even if another one was stored after the deletion.
func preconditionIfVersionDeleted(r *rig) {
	r.needPreconditions()
	first, second, third := r.record("deleted"), r.record("deleted"), r.record("deleted")
	v1 := r.store(first)
	r.remove(first.name)
	_, err := r.tryStore(second, nebula.IfVersion(v1))
	r.fails(err, nebula.ErrConflict, provider.OpStore, first.name)
	r.absent(first.name)
	v2 := r.store(second)
	_, err = r.tryStore(third, nebula.IfVersion(v1))
	r.fails(err, nebula.ErrConflict, provider.OpStore, first.name)
	r.holds(second)
	r.storeIf(third, nebula.IfVersion(v2))
	r.holds(third)
}

// preconditionOtherHandle: a precondition is checked against the backend, not
// against what this provider saw last.
func preconditionOtherHandle(r *rig) {
	r.needPreconditions()
	other := r.reopen()
	first, second, third := r.record("handles"), r.record("handles"), r.record("handles")
	v1 := r.storeIf(first, nebula.IfAbsent())
	_, err := other.Store(r.ctx, second.name, second.Envelope, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	r.fails(err, nebula.ErrAlreadyExists, provider.OpStore, first.name)
	v2, err := other.Store(r.ctx, second.name, second.Envelope, nebula.StoreOptions{Precondition: nebula.IfVersion(v1)})
	r.ok(err, "store of the other handle")
	_, err = r.tryStore(third, nebula.IfVersion(v1))
	r.fails(err, nebula.ErrConflict, provider.OpStore, first.name)
	r.holds(second)
	r.storeIf(third, nebula.IfVersion(v2))
	r.holdsIn(other, third)
}

// preconditionRefused: a provider that cannot check preconditions refuses them,
// whether they hold or not, and writes nothing. The keyring can be made, but not
// replaced.
func preconditionRefused(r *rig) {
	if r.h.Preconditions != Refused {
		r.Skip("the provider accepts preconditions")
	}
	e := r.record("refused")
	for _, condition := range []nebula.Precondition{nebula.IfAbsent(), nebula.IfVersion("1")} {
		_, err := r.tryStore(e, condition)
		r.fails(err, nebula.ErrNotSupported, provider.OpStore, e.name)
		r.absent(e.name)
	}
	version := r.store(e)
	_, err := r.tryStore(r.record("refused"), nebula.IfVersion(version))
	r.fails(err, nebula.ErrNotSupported, provider.OpStore, e.name)
	r.holds(e)

	keyring, other := keyrings()
	r.storeIf(keyring, nebula.IfAbsent())
	_, err = r.tryStore(other, nebula.IfAbsent())
	r.fails(err, nebula.ErrAlreadyExists, provider.OpStore, keyring.name)
	r.holds(keyring)
}
