package memory_test

import (
	"context"
	"errors"
	"slices"

	"github.com/nebula-credential/nebula"
)

type storeBatchFunc func(full, context.Context, []nebula.BatchItem) ([]nebula.BatchOutcome, error)

func (b *broken) StoreBatch(ctx context.Context, items []nebula.BatchItem) ([]nebula.BatchOutcome, error) {
	if b.storeBatch != nil {
		return b.storeBatch(b.full, ctx, items)
	}
	return b.full.StoreBatch(ctx, items)
}

// oneByOne makes a batch of single stores.
func oneByOne(store storeFunc) storeBatchFunc {
	return func(p full, ctx context.Context, items []nebula.BatchItem) ([]nebula.BatchOutcome, error) {
		outcomes := make([]nebula.BatchOutcome, len(items))
		for i, item := range items {
			outcomes[i].Version, outcomes[i].Err = store(p, ctx, item.Name, item.Envelope, item.Options)
		}
		return outcomes, nil
	}
}

// outcomes makes a defect of StoreBatch that changes its outcomes.
func outcomes(change func([]nebula.BatchOutcome, error) ([]nebula.BatchOutcome, error)) storeBatchFunc {
	return func(p full, ctx context.Context, items []nebula.BatchItem) ([]nebula.BatchOutcome, error) {
		return change(p.StoreBatch(ctx, items))
	}
}

// refusingBatch refuses the records that have a precondition.
func refusingBatch(p full, ctx context.Context, items []nebula.BatchItem) ([]nebula.BatchOutcome, error) {
	outcomes := make([]nebula.BatchOutcome, len(items))
	var plain []nebula.BatchItem
	var places []int
	for i, item := range items {
		if item.Options.Precondition.IsZero() {
			plain, places = append(plain, item), append(places, i)
			continue
		}
		outcomes[i].Err = storeError(nebula.ErrNotSupported, item.Name)
	}
	stored, err := p.StoreBatch(ctx, plain)
	if err != nil {
		return nil, err
	}
	for i, o := range stored {
		outcomes[places[i]] = o
	}
	return outcomes, nil
}

func batchDefects() map[string]defect {
	bigger := small()
	bigger.MaxRecordSize *= 2
	return map[string]defect{
		"batch store: outcomes in another order": {rule: "batchStore",
			storeBatch: outcomes(func(all []nebula.BatchOutcome, err error) ([]nebula.BatchOutcome, error) {
				slices.Reverse(all)
				return all, err
			})},
		"batch store: fails for one": {rule: "batchStoreConditions",
			storeBatch: outcomes(func(all []nebula.BatchOutcome, err error) ([]nebula.BatchOutcome, error) {
				for _, o := range all {
					err = errors.Join(err, o.Err)
				}
				return all, err
			})},
		"batch store: stops at the first that fails": {rule: "batchStoreConditions",
			storeBatch: func(p full, ctx context.Context, items []nebula.BatchItem) ([]nebula.BatchOutcome, error) {
				all := make([]nebula.BatchOutcome, len(items))
				for i, item := range items {
					all[i].Version, all[i].Err = p.Store(ctx, item.Name, item.Envelope, item.Options)
					if all[i].Err != nil {
						break
					}
				}
				return all, nil
			}},
		"batch store: ignores preconditions": {rule: "batchStoreConditions",
			storeBatch: func(p full, ctx context.Context, items []nebula.BatchItem) ([]nebula.BatchOutcome, error) {
				items = slices.Clone(items)
				for i := range items {
					items[i].Options = nebula.StoreOptions{}
				}
				return p.StoreBatch(ctx, items)
			}},
		"batch store: two winners": {rule: "batchStoreIfAbsent", storeBatch: oneByOne(unlocked)},
		"batch store: no error of one that is too large": {rule: "batchStoreTooLarge",
			storeBatch: outcomes(func(all []nebula.BatchOutcome, err error) ([]nebula.BatchOutcome, error) {
				for i := range all {
					all[i].Err = nil
				}
				return all, err
			})},
		"batch store: too large": {rule: "batchStoreLargest", config: bigger},
		"batch store: any key": {rule: "batchStoreKey",
			storeBatch: outcomes(func(all []nebula.BatchOutcome, err error) ([]nebula.BatchOutcome, error) {
				for i := range all {
					if errors.Is(all[i].Err, nebula.ErrKeyChanged) {
						all[i].Err = nil
					}
				}
				return all, err
			})},
		"batch store: a name twice": {rule: "batchStoreRefused", storeBatch: oneByOne(full.Store)},
		"batch store: none is an error": {rule: "batchStoreNone",
			storeBatch: func(p full, ctx context.Context, items []nebula.BatchItem) ([]nebula.BatchOutcome, error) {
				if len(items) == 0 {
					return nil, nebula.ErrUsage
				}
				return p.StoreBatch(ctx, items)
			}},
		"batch store: context ignored": {rule: "contextCancelled",
			storeBatch: func(p full, _ context.Context, items []nebula.BatchItem) ([]nebula.BatchOutcome, error) {
				return p.StoreBatch(context.Background(), items)
			}},
		"batch store: a context that ended counts as success": {rule: "batchStoreContext",
			storeBatch: func(p full, ctx context.Context, items []nebula.BatchItem) ([]nebula.BatchOutcome, error) {
				all, err := p.StoreBatch(ctx, items)
				if errors.Is(err, nebula.ErrTimeout) {
					all, err = slices.Repeat([]nebula.BatchOutcome{{Version: "1"}}, len(items)), nil
				}
				return all, err
			}},
	}
}
