package providertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// item is a record of a batch, without a precondition unless one is given.
func (e record) item(condition ...nebula.Precondition) nebula.BatchItem {
	item := nebula.BatchItem{Name: e.name, Envelope: e.Envelope}
	if len(condition) > 0 {
		item.Options.Precondition = condition[0]
	}
	return item
}

// storeBatch stores a batch, and fails the test if it cannot begin.
func (r *rig) storeBatch(items ...nebula.BatchItem) []nebula.BatchOutcome {
	r.Helper()
	outcomes, err := need[nebula.BatchStorer](r).StoreBatch(r.ctx, items)
	r.ok(err, "store a batch")
	if len(outcomes) != len(items) {
		r.Fatalf("%d outcomes for %d records", len(outcomes), len(items))
	}
	return outcomes
}

// stored checks that e is stored with the version of its outcome.
func (r *rig) stored(o nebula.BatchOutcome, e record) {
	r.Helper()
	r.ok(o.Err, "store "+e.name.String()+" in a batch")
	if got := r.holds(e); got != o.Version || o.Version == "" {
		r.Errorf("%s: StoreBatch gave version %q, Retrieve %q", e.name, o.Version, got)
	}
}

// batchStore: StoreBatch stores new records and replaces others, up to the maximum of
// a batch, and returns their versions in order.
func batchStore(r *rig) {
	need[nebula.BatchStorer](r)
	n := min(r.many(nebula.MaxBatch), nebula.MaxBatch)
	records, items := make([]record, n), make([]nebula.BatchItem, n)
	for i := range n {
		id := fmt.Sprintf("batch%04d", (i*7)%n)
		if n%7 == 0 {
			id = fmt.Sprintf("batch%04d", i)
		}
		records[i] = r.record(id)
		items[i] = records[i].item()
	}
	for _, e := range records[:min(n, 20)] {
		r.store(r.record(e.name.String())) // the batch replaces it
	}
	beside := r.record("beside")
	version := r.store(beside)
	for i, o := range r.storeBatch(items...) {
		r.stored(o, records[i])
	}
	if got := r.holds(beside); got != version {
		r.Errorf("a credential beside the batch went from version %q to %q", version, got)
	}
	for i, o := range r.storeBatch(items[:min(n, 20)]...) { // store them again
		r.stored(o, records[i])
	}
}

// batchStoreNone: a batch may have no records, or one.
func batchStoreNone(r *rig) {
	a := need[nebula.BatchStorer](r)
	for _, none := range [][]nebula.BatchItem{nil, {}} {
		if outcomes, err := a.StoreBatch(r.ctx, none); err != nil || len(outcomes) != 0 {
			r.Errorf("an empty batch: %d outcomes, %v", len(outcomes), err)
		}
	}
	e := r.record("alone")
	r.stored(r.storeBatch(e.item())[0], e)
}

// batchStoreConditions: the precondition of each record is checked. If one does
// not hold, the others are still stored.
func batchStoreConditions(r *rig) {
	r.needPreconditions()
	need[nebula.BatchStorer](r)
	taken, current, stale := r.record("taken"), r.record("current"), r.record("stale")
	r.store(taken)
	version := r.store(current)
	r.store(stale)
	free, replaced, missing := r.record("free"), r.record("current"), r.record("missing")
	plain := r.record("plain")
	outcomes := r.storeBatch(
		r.record("taken").item(nebula.IfAbsent()),
		free.item(nebula.IfAbsent()),
		r.record("stale").item(nebula.IfVersion("no such version")),
		replaced.item(nebula.IfVersion(version)),
		missing.item(nebula.IfVersion(version)),
		plain.item(),
	)
	r.fails(outcomes[0].Err, nebula.ErrAlreadyExists, provider.OpStore, taken.name)
	r.stored(outcomes[1], free)
	r.fails(outcomes[2].Err, nebula.ErrConflict, provider.OpStore, stale.name)
	r.stored(outcomes[3], replaced)
	r.fails(outcomes[4].Err, nebula.ErrConflict, provider.OpStore, missing.name)
	r.stored(outcomes[5], plain)
	r.holds(taken)
	r.holds(stale)
	r.absent(missing.name)
}

// batchStoreConditionsRefused: a provider that refuses preconditions also refuses
// them in a batch, and stores the other records.
func batchStoreConditionsRefused(r *rig) {
	need[nebula.BatchStorer](r)
	if r.h.Preconditions != Refused {
		r.Skip("the provider accepts preconditions")
	}
	asks, plain := r.record("asks"), r.record("plain")
	outcomes := r.storeBatch(asks.item(nebula.IfAbsent()), plain.item())
	r.fails(outcomes[0].Err, nebula.ErrNotSupported, provider.OpStore, asks.name)
	r.stored(outcomes[1], plain)
	r.absent(asks.name)
}

// batchStoreRefused: a batch that names a credential twice, the keyring or
// nothing, or that is too large, is refused and changes nothing.
func batchStoreRefused(r *rig) {
	a := need[nebula.BatchStorer](r)
	kept := r.record("kept")
	version := r.store(kept)
	keyring, _ := keyrings()
	one := r.record("one")
	many, large := make([]nebula.BatchItem, nebula.MaxBatch+1), []nebula.BatchItem{}
	for i := range many {
		many[i] = record{r.named(fmt.Sprintf("many%04d", i)), one.Envelope}.item()
	}
	size := 1 << 20
	if r.h.MaxRecordSize > 0 {
		size = min(size, r.h.MaxRecordSize)
	}
	sized := r.sized("sized", size)
	for i := 0; i*size <= nebula.MaxBatchBytes && i < nebula.MaxBatch; i++ {
		large = append(large, record{r.named(fmt.Sprintf("large%04d", i)), sized.Envelope}.item())
	}
	for what, items := range map[string][]nebula.BatchItem{
		"a name twice": {r.record("kept").item(), one.item(), r.record("kept").item()},
		"the keyring":  {one.item(), keyring.item()},
		"no name":      {one.item(), record{nebula.Name{}, one.Envelope}.item()},
		"too many":     many,
		"too large":    large,
	} {
		if what == "too large" && len(large)*size <= nebula.MaxBatchBytes {
			continue // these records are not too large for a batch
		}
		outcomes, err := a.StoreBatch(r.ctx, items)
		if outcomes != nil {
			r.Errorf("%s: %d outcomes beside an error", what, len(outcomes))
		}
		r.fails(err, nebula.ErrUsage, provider.OpStoreBatch, nebula.Name{})
	}
	if got := r.holds(kept); got != version {
		r.Errorf("a refused batch changed version %q to %q", version, got)
	}
	r.absent(keyring.name)
	r.wantList(nebula.Filter{}, "kept")
}

// batchStoreTooLarge: a record that is too large is refused, and the others of its
// batch are stored.
func batchStoreTooLarge(r *rig) {
	need[nebula.BatchStorer](r)
	if r.h.MaxRecordSize == 0 || r.h.MaxRecordSize >= nebula.MaxBatchBytes {
		r.Skip("no batch can have a record that is too large")
	}
	first, large, last := r.record("first"), r.sized("large", r.h.MaxRecordSize+1), r.record("last")
	outcomes := r.storeBatch(first.item(), large.item(), last.item())
	r.stored(outcomes[0], first)
	r.fails(outcomes[1].Err, nebula.ErrTooLarge, provider.OpStore, large.name)
	r.stored(outcomes[2], last)
	r.absent(large.name)
}

// batchStoreLargest: a batch accepts one record of any size that Store accepts.
func batchStoreLargest(r *rig) {
	need[nebula.BatchStorer](r)
	if r.h.MaxRecordSize == 0 {
		r.Skip("no limit is known")
	}
	e := r.sized("largest", r.h.MaxRecordSize)
	r.stored(r.storeBatch(e.item())[0], e)
	over := r.sized("over", r.h.MaxRecordSize+1)
	r.fails(r.storeBatch(over.item())[0].Err, nebula.ErrTooLarge, provider.OpStore, over.name)
	r.absent(over.name)
}

// batchStoreContext: if a context ends at any moment, the old or the new version of
// each record is whole. Acknowledged records are stored.
func batchStoreContext(r *rig) {
	a := need[nebula.BatchStorer](r)
	const size = 10
	rounds := max(2, r.many(400)/size/2)
	for i := range rounds {
		olds, news := make([]record, size), make([]record, size)
		items := make([]nebula.BatchItem, size)
		for j := range size {
			id := fmt.Sprintf("moment%d", j)
			olds[j], news[j] = r.record(id), r.seal(id, string(make([]byte, 512)), metadata())
			r.store(olds[j])
			items[j] = news[j].item()
		}
		ctx, cancel := context.WithTimeout(r.ctx, time.Duration(i)*100*time.Microsecond)
		outcomes, err := a.StoreBatch(ctx, items)
		cancel()
		if err != nil { // the batch did not begin
			r.fails(err, nebula.ErrTimeout, provider.OpStoreBatch, nebula.Name{})
			outcomes = slices.Repeat([]nebula.BatchOutcome{{Err: err}}, size)
		}
		for j, o := range outcomes {
			if o.Err == nil {
				r.stored(o, news[j])
				continue
			}
			if !errors.Is(o.Err, nebula.ErrTimeout) {
				r.Errorf("%s: %v, want ErrTimeout", olds[j].name, o.Err)
			}
			got, failed := r.p.Retrieve(r.ctx, olds[j].name)
			r.ok(failed, "retrieve after a batch that was ended")
			if !bytes.Equal(got.Envelope.Bytes(), olds[j].Bytes()) {
				if err != nil {
					r.Errorf("%s: a batch that did not begin changed it", olds[j].name)
				}
				r.same(got, news[j])
			}
		}
	}
}

// batchStoreIfAbsent: if several batches at once store the same names if
// absent, exactly one stores each of them.
func batchStoreIfAbsent(r *rig) {
	need[nebula.BatchStorer](r)
	r.needAtomic()
	const writers = 4
	handles, n := r.handles(), max(2, r.many(200)/writers)
	sealed := make([][]record, writers)
	won := make([][]nebula.BatchOutcome, writers)
	for i := range sealed {
		for j := range n {
			sealed[i] = append(sealed[i], r.record(fmt.Sprintf("only%04d", j)))
		}
	}
	r.together(writers, func(i int) error {
		a, ok := nebula.As[nebula.BatchStorer](handles[i%len(handles)])
		if !ok {
			return errors.New("the other handle cannot store batches")
		}
		items := make([]nebula.BatchItem, n)
		for j := range items { // half of them begin at the other end
			items[j] = sealed[i][j].item(nebula.IfAbsent())
		}
		if i%2 == 1 {
			slices.Reverse(items)
		}
		outcomes, err := a.StoreBatch(r.ctx, items)
		if i%2 == 1 {
			slices.Reverse(outcomes)
		}
		won[i] = outcomes
		return err
	})
	for j := range n {
		winners := 0
		for i := range writers {
			switch o := won[i][j]; {
			case o.Err == nil:
				winners++
				r.stored(o, sealed[i][j])
			default:
				r.fails(o.Err, nebula.ErrAlreadyExists, provider.OpStore, sealed[i][j].name)
			}
		}
		if winners != 1 {
			r.Errorf("%d of %d stored %s", winners, writers, sealed[0][j].name)
		}
	}
}
