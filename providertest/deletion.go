package providertest

import (
	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// restoreDeleted: a deleted record comes back unchanged, and is listed again.
func restoreDeleted(r *rig) {
	a := need[nebula.Restorer](r)
	e := r.record("restored", "tag", "x")
	r.store(r.record("restored", "tag", "older"))
	r.store(e)
	for range 2 {
		r.remove(e.name)
		r.absent(e.name)
		r.ok(a.Restore(r.ctx, e.name), "restore")
		r.holds(e)
		r.wantList(nebula.Filter{Tags: map[string]string{"tag": "x"}}, "restored")
	}
	next := r.record("restored")
	r.store(next)
	r.holds(next)
}

// restoreLive: Restore does not overwrite a live record.
func restoreLive(r *rig) {
	a := need[nebula.Restorer](r)
	e := r.record("live")
	r.store(e)
	r.fails(a.Restore(r.ctx, e.name), nebula.ErrConflict, provider.OpRestore, e.name)
	r.remove(e.name)
	next := r.record("live")
	r.store(next)
	r.fails(a.Restore(r.ctx, e.name), nebula.ErrConflict, provider.OpRestore, e.name)
	r.holds(next)
}

// restoreNothing: Restore of a name that was never stored, or was purged, fails
// with ErrNotFound.
func restoreNothing(r *rig) {
	a := need[nebula.Restorer](r)
	name := r.named("nothing")
	r.fails(a.Restore(r.ctx, name), nebula.ErrNotFound, provider.OpRestore, name)
	r.remove(name)
	r.fails(a.Restore(r.ctx, name), nebula.ErrNotFound, provider.OpRestore, name)
	p, ok := nebula.As[nebula.Purger](r.p)
	if !ok {
		return
	}
	r.store(r.record("nothing"))
	r.remove(name)
	r.ok(r.purged(p, name), "purge")
	r.fails(a.Restore(r.ctx, name), nebula.ErrNotFound, provider.OpRestore, name)
	r.absent(name)
}

// restoreLast: Restore brings back what the last deletion removed.
func restoreLast(r *rig) {
	a := need[nebula.Restorer](r)
	first, second := r.record("last"), r.record("last")
	r.store(first)
	r.remove(first.name)
	r.store(second)
	r.remove(first.name)
	r.remove(first.name) // removes nothing
	r.ok(a.Restore(r.ctx, first.name), "restore")
	r.holds(second)
}

// restoreOne: Restore brings back only the named credential.
func restoreOne(r *rig) {
	a := need[nebula.Restorer](r)
	one, other := r.record("one"), r.record("other")
	r.store(one)
	r.store(other)
	r.remove(one.name)
	r.remove(other.name)
	r.ok(a.Restore(r.ctx, one.name), "restore")
	r.holds(one)
	r.absent(other.name)
	r.wantList(nebula.Filter{}, "one")
}

// purgeFrees: Purge removes a live or deleted credential, and frees its name at once.
func purgeFrees(r *rig) {
	a := need[nebula.Purger](r)
	stays := r.record("stays")
	r.store(stays)
	for i := range 3 {
		e := r.record("purged")
		r.storeFree(e)
		if i%2 == 1 {
			r.remove(e.name)
		}
		r.ok(r.purged(a, e.name), "purge")
		r.absent(e.name)
		r.wantList(nebula.Filter{}, "stays")
	}
	last := r.record("purged")
	r.storeFree(last)
	r.holds(last)
	r.holds(stays)
}

// storeFree stores under a name that must be free.
func (r *rig) storeFree(e record) {
	r.Helper()
	condition := nebula.IfAbsent()
	if r.h.Preconditions == Refused {
		condition = nebula.Precondition{}
	}
	r.storeIf(e, condition)
}

// purgeTwice: Purge of a name without a credential succeeds.
func purgeTwice(r *rig) {
	a := need[nebula.Purger](r)
	e := r.record("twice")
	r.ok(r.purged(a, e.name), "purge nothing")
	r.store(e)
	r.ok(r.purged(a, e.name), "purge")
	r.ok(r.purged(a, e.name), "purge again")
	r.absent(e.name)
}

// purgeVersions: Purge removes all versions. None comes back if the name is
// stored again.
func purgeVersions(r *rig) {
	a := need[nebula.Purger](r)
	first, second := r.record("versions"), r.record("versions")
	v1 := r.store(first)
	r.store(second)
	r.ok(r.purged(a, first.name), "purge")
	last := r.record("versions")
	r.store(last)
	if v, ok := nebula.As[nebula.VersionRetriever](r.p); ok {
		got, err := v.RetrieveVersion(r.ctx, first.name, v1)
		if err == nil {
			// A backend that counts versions may reuse the number for the new record.
			r.same(got, last)
		} else {
			r.fails(err, nebula.ErrNotFound, provider.OpRetrieveVersion, first.name)
		}
	}
	if h, ok := nebula.As[nebula.Historian](r.p); ok {
		r.eventually(func() error { return r.historyIs(h, last.name, 1) })
	}
}
