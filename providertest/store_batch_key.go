package providertest

import (
	"errors"
	"fmt"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// batchStoreKey: a provider that compares keys refuses the records of a batch under
// another key than the keyring's, even if another handle stored the keyring. It
// stores the others.
func batchStoreKey(r *rig) {
	need[nebula.BatchStorer](r)
	if !r.h.ComparesKeyring {
		r.Skip("the provider does not compare keys")
	}
	other := r.handles()[len(r.handles())-1]
	foreign := func(id string) record { return r.sealUnder([32]byte{1}, id, "foreign", metadata()) }
	early, fits := foreign("early"), r.record("fits")
	for i, o := range r.storeBatch(early.item(), fits.item()) { // there is no keyring yet
		r.stored(o, []record{early, fits}[i])
	}
	keyring, _ := keyrings()
	_, err := other.Store(r.ctx, keyring.name, keyring.Envelope, nebula.StoreOptions{})
	r.ok(err, "store the keyring by the other handle")
	next := r.record("fits")
	refused := []record{foreign("new"), foreign("early")}
	outcomes := r.storeBatch(refused[0].item(), next.item(), refused[1].item())
	for i, e := range refused {
		r.fails(outcomes[2*i].Err, nebula.ErrConflict, provider.OpStore, e.name)
		if !errors.Is(outcomes[2*i].Err, nebula.ErrKeyChanged) {
			r.Errorf("the error does not wrap ErrKeyChanged: %v", outcomes[2*i].Err)
		}
	}
	r.stored(outcomes[1], next)
	r.absent(refused[0].name)
	r.holds(early)
}

// batchStoreKeyDuring: after a keyring with another key is stored, no record is
// stored under the old key, not even from a batch under way.
func batchStoreKeyDuring(r *rig) {
	a := need[nebula.BatchStorer](r)
	if !r.h.ComparesKeyring {
		r.Skip("the provider does not compare keys")
	}
	other := r.handles()[len(r.handles())-1]
	keyring, _ := keyrings()
	n := r.many(300)
	items := make([]nebula.BatchItem, n)
	for i := range items {
		items[i] = r.sealUnder([32]byte{1}, fmt.Sprintf("under%04d", i), "foreign", metadata()).item()
	}
	changed := make(chan map[string]bool, 1)
	r.together(2, func(i int) error {
		if i == 0 {
			defer close(changed)
			time.Sleep(time.Millisecond)
			if _, err := other.Store(r.ctx, keyring.name, keyring.Envelope, nebula.StoreOptions{}); err != nil {
				return err
			}
			there := make(map[string]bool) // whether each record is there after the new keyring is stored
			for _, item := range items {
				found, err := other.Exists(r.ctx, item.Name)
				if err != nil {
					return err
				}
				there[item.Name.String()] = found
			}
			changed <- there
			return nil
		}
		var outcomes []nebula.BatchOutcome
		for len(outcomes) == 0 || outcomes[0].Err == nil { // until one comes too late
			var err error
			if outcomes, err = a.StoreBatch(r.ctx, items); err != nil {
				return err
			}
			for _, o := range outcomes {
				if o.Err != nil && !errors.Is(o.Err, nebula.ErrKeyChanged) {
					return o.Err
				}
			}
		}
		return nil
	})
	there := <-changed
	for _, item := range items {
		found, err := r.p.Exists(r.ctx, item.Name)
		r.ok(err, "exists")
		if found && !there[item.Name.String()] {
			r.Errorf("%s was stored under the old key after the new keyring", item.Name)
		}
	}
}
