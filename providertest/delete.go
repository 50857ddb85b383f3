package providertest

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// deleteReports: Delete reports whether there was a credential.
func deleteReports(r *rig) {
	e := r.record("reported")
	r.existed(e.name, nebula.Precondition{}, false)
	r.store(e)
	r.existed(e.name, nebula.Precondition{}, true)
	r.existed(e.name, nebula.Precondition{}, false)
	r.store(e)
	r.existed(e.name, nebula.Precondition{}, true)
}

// deleteIfVersion: a deletion on condition of a version removes that version,
// and no other.
func deleteIfVersion(r *rig) {
	r.needPreconditions()
	first, second := r.record("conditional"), r.seal("conditional", "another value", metadata())
	old := r.store(first)
	current := r.store(second)
	_, err := r.p.Delete(r.ctx, second.name, nebula.IfVersion(old))
	r.fails(err, nebula.ErrConflict, provider.OpDelete, second.name)
	if got := r.holds(second); got != current {
		r.Errorf("the refused deletion left version %q, want %q", got, current)
	}
	_, err = r.p.Delete(r.ctx, second.name, nebula.IfVersion("no such version"))
	r.fails(err, nebula.ErrConflict, provider.OpDelete, second.name)
	r.existed(second.name, nebula.IfVersion(current), true)
	r.absent(second.name)
	next := r.seal("conditional", "the next value", metadata())
	version := r.store(next)
	_, err = r.p.Delete(r.ctx, next.name, nebula.IfVersion(current))
	r.fails(err, nebula.ErrConflict, provider.OpDelete, next.name)
	r.existed(next.name, nebula.IfVersion(version), true)
}

// deleteIfVersionMissing: such a deletion conflicts if there is no credential, or
// only a deleted one.
func deleteIfVersionMissing(r *rig) {
	r.needPreconditions()
	e := r.record("conditional")
	_, err := r.p.Delete(r.ctx, e.name, nebula.IfVersion("1"))
	r.fails(err, nebula.ErrConflict, provider.OpDelete, e.name)
	version := r.store(e)
	r.remove(e.name)
	_, err = r.p.Delete(r.ctx, e.name, nebula.IfVersion(version))
	r.fails(err, nebula.ErrConflict, provider.OpDelete, e.name)
	r.absent(e.name)
}

// deleteIfAbsent: a deletion on condition that there is no credential is refused.
func deleteIfAbsent(r *rig) {
	e := r.record("kept")
	r.store(e)
	_, err := r.p.Delete(r.ctx, e.name, nebula.IfAbsent())
	r.fails(err, nebula.ErrUsage, provider.OpDelete, e.name)
	r.holds(e)
}

// deleteRefused: a provider that refuses preconditions also refuses those of
// deletions.
func deleteRefused(r *rig) {
	if r.h.Preconditions != Refused {
		r.Skip("the provider accepts preconditions")
	}
	e := r.record("kept")
	version := r.store(e)
	_, err := r.p.Delete(r.ctx, e.name, nebula.IfVersion(version))
	r.fails(err, nebula.ErrNotSupported, provider.OpDelete, e.name)
	r.holds(e)
}

// concurrentDeleteIfVersion: if many replace and delete one version at once, one
// succeeds, and the backend then holds its result. See also
// [Harness.SharedDeletions].
func concurrentDeleteIfVersion(r *rig) {
	r.needAtomic()
	if r.h.RacyDeletions {
		r.Skip("the provider's deletions are not atomic")
	}
	handles := r.handles()
	for round := range max(1, r.many(60)/6) {
		old := r.seal("contested", fmt.Sprint("old ", round), metadata())
		next := r.seal("contested", fmt.Sprint("next ", round), metadata())
		version := r.store(old)
		var replaced, deleted atomic.Int32
		r.together(4, func(i int) error {
			p := handles[i%len(handles)]
			var err error
			if i%2 == 0 {
				if _, err = p.Store(r.ctx, next.name, next.Envelope, nebula.StoreOptions{Precondition: nebula.IfVersion(version)}); err == nil {
					replaced.Add(1)
				}
			} else if _, err = p.Delete(r.ctx, next.name, nebula.IfVersion(version)); err == nil {
				deleted.Add(1)
			}
			if errors.Is(err, nebula.ErrConflict) {
				err = nil
			}
			return err
		})
		removed := deleted.Load()
		if r.h.SharedDeletions {
			removed = min(removed, 1)
		}
		if replaced.Load()+removed != 1 {
			r.Fatalf("%d replacements and %d deletions of one version succeeded", replaced.Load(), deleted.Load())
		}
		if replaced.Load() == 1 {
			r.holds(next)
		} else {
			r.absent(next.name)
		}
	}
}

// purgeReports: Purge reports whether there was a credential, live or deleted.
func purgeReports(r *rig) {
	a := need[nebula.Purger](r)
	e := r.record("reported")
	purge := func(want bool) {
		r.Helper()
		existed, err := a.Purge(r.ctx, e.name)
		r.ok(err, "purge")
		if existed != want {
			r.Errorf("Purge reports %v, want %v", existed, want)
		}
	}
	purge(false)
	r.store(e)
	purge(true)
	purge(false)
	if _, ok := nebula.As[nebula.Restorer](r.p); ok {
		r.store(e)
		r.remove(e.name)
		purge(true)
	}
}

// existed deletes, and checks what Delete reports.
func (r *rig) existed(name nebula.Name, condition nebula.Precondition, want bool) {
	r.Helper()
	existed, err := r.p.Delete(r.ctx, name, condition)
	r.ok(err, "delete "+name.String())
	if existed != want {
		r.Errorf("Delete of %s reports %v, want %v", name, existed, want)
	}
}
