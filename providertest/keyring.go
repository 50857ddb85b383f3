package providertest

import (
	"errors"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// keyringStored: the keyring is kept under its name like any record.
func keyringStored(r *rig) {
	first, second := keyrings()
	r.absent(first.name)
	version := r.store(first)
	if got := r.holds(first); got != version {
		r.Errorf("Store gave version %q, Retrieve %q", version, got)
	}
	if again := r.store(second); again == version {
		r.Errorf("two keyrings have version %q", version)
	}
	r.holds(second)
}

// keyringHidden: no list shows the keyring, whatever the filter.
func keyringHidden(r *rig) {
	first, _ := keyrings()
	r.store(first)
	r.wantList(nebula.Filter{})
	r.store(r.record("visible"))
	r.wantList(nebula.Filter{}, "visible")
	for _, prefix := range []string{".", ".keyring", "k", "keyring"} {
		r.wantList(nebula.Filter{Prefix: prefix})
	}
	r.wantList(nebula.Filter{CreatedAfter: created().AddDate(-50, 0, 0)}, "visible")
	r.wantList(nebula.Filter{CreatedBefore: created().AddDate(50, 0, 0)}, "visible")
}

// keyringKept: neither Delete nor Purge removes the keyring.
func keyringKept(r *rig) {
	first, _ := keyrings()
	r.fails(r.deletion(first.name), nebula.ErrUsage, provider.OpDelete, first.name)
	r.store(first)
	r.fails(r.deletion(first.name), nebula.ErrUsage, provider.OpDelete, first.name)
	r.holds(first)
	if p, ok := nebula.As[nebula.Purger](r.p); ok {
		r.fails(r.purged(p, first.name), nebula.ErrUsage, provider.OpPurge, first.name)
		r.holds(first)
	}
}

// keyringApart: no credential is mistaken for the keyring.
func keyringApart(r *rig) {
	first, _ := keyrings()
	ids := []string{"keyring", "_keyring", "keyring-", "keyring_", "2ekeyring", "_2ekeyring"}
	for _, id := range ids {
		r.store(r.record(id))
	}
	r.absent(first.name)
	r.store(first)
	for _, id := range ids {
		e := r.record(id)
		r.store(e)
		r.holds(e)
		r.remove(e.name)
	}
	r.holds(first)
}

// keyringPreconditions: preconditions also hold for the keyring. Making a store and
// changing its keys depend on them.
func keyringPreconditions(r *rig) {
	r.needPreconditions()
	first, second := keyrings()
	version := r.storeIf(first, nebula.IfAbsent())
	_, err := r.tryStore(second, nebula.IfAbsent())
	r.fails(err, nebula.ErrAlreadyExists, provider.OpStore, first.name)
	r.holds(first)
	next := r.storeIf(second, nebula.IfVersion(version))
	_, err = r.tryStore(first, nebula.IfVersion(version))
	r.fails(err, nebula.ErrConflict, provider.OpStore, first.name)
	r.holds(second)
	r.storeIf(first, nebula.IfVersion(next))
}

// keyringRaced: if several make a store at once, exactly one succeeds.
func keyringRaced(r *rig) {
	r.needAtomic()
	first, second := keyrings()
	r.oneWins(func(i int) record {
		if i%2 == 0 {
			return first
		}
		return second
	})
}

// keyringCompared: a provider that compares keys refuses a record under another key
// than the keyring's, and changes nothing.
func keyringCompared(r *rig) {
	if !r.h.ComparesKeyring {
		r.Skip("the provider does not compare keys")
	}
	first, second := keyrings()
	foreign := func(id string) record { return r.sealUnder([32]byte{1}, id, "foreign", metadata()) }
	early := foreign("early")
	r.store(early) // there is no keyring yet
	r.store(first)
	fits := r.record("fits")
	version := r.store(fits)
	for range 2 {
		for _, e := range []record{foreign("new"), foreign("fits"), foreign("early")} {
			_, err := r.tryStore(e, nebula.Precondition{})
			r.fails(err, nebula.ErrConflict, provider.OpStore, e.name)
			if !errors.Is(err, nebula.ErrKeyChanged) {
				r.Errorf("the error does not wrap ErrKeyChanged: %v", err)
			}
		}
		r.absent(r.named("new"))
		r.holds(early)
		if got := r.holds(fits); got != version {
			r.Errorf("the refused record left version %q, want %q", got, version)
		}
		r.store(second) // a keyring of the same key makes no difference
	}
	r.store(r.record("fits"))
	r.store(r.record("early"))
}

// keyringComparedLive: the key is compared with the keyring that is stored now, even
// if another handle stored it.
func keyringComparedLive(r *rig) {
	if !r.h.ComparesKeyring {
		r.Skip("the provider does not compare keys")
	}
	other := r.reopen()
	e := r.sealUnder([32]byte{1}, "raced", "foreign", metadata())
	r.store(e)
	first, _ := keyrings()
	_, err := other.Store(r.ctx, first.name, first.Envelope, nebula.StoreOptions{})
	r.ok(err, "store the keyring by the other handle")
	_, err = r.tryStore(e, nebula.Precondition{})
	r.fails(err, nebula.ErrConflict, provider.OpStore, e.name)
	if !errors.Is(err, nebula.ErrKeyChanged) {
		r.Errorf("the error does not wrap ErrKeyChanged: %v", err)
	}
	r.store(r.record("raced"))
}
