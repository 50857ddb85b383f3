package provider

import (
	"context"
	"fmt"

	"github.com/nebula-credential/nebula"
)

// StoreBatch implements [nebula.BatchStorer]. Metrics, logs and interceptors see
// one operation. A batch that could not be begun is repeated like any operation.
// A single record that failed is never repeated.
func (s *shell) StoreBatch(ctx context.Context, items []nebula.BatchItem) ([]nebula.BatchOutcome, error) {
	b, ok := s.driver.(nebula.BatchStorer)
	if !ok {
		return nil, s.lacks(OpStoreBatch, nebula.Name{})
	}
	return do(ctx, s, Call{Op: OpStoreBatch}, func(ctx context.Context) ([]nebula.BatchOutcome, error) {
		if err := refuseBatch(items); err != nil {
			return nil, err
		}
		return s.storeBatch(ctx, b, items)
	})
}

// refuseBatch returns an error if no driver could store the items as a batch.
func refuseBatch(items []nebula.BatchItem) error {
	if len(items) > nebula.MaxBatch {
		return errBatch(fmt.Sprintf("a batch has %d records, %d are the most", len(items), nebula.MaxBatch))
	}
	size, seen := 0, make(map[nebula.Name]bool, len(items))
	for _, item := range items {
		switch {
		case item.Name == nebula.Name{}:
			return errNoName()
		case item.Name.IsKeyring():
			return errBatch("the keyring is stored alone, not in a batch")
		case seen[item.Name]:
			return errBatch(fmt.Sprintf("%q comes twice in a batch", item.Name))
		}
		seen[item.Name] = true
		size += len(item.Envelope.Bytes())
	}
	if len(items) > 1 && size > nebula.MaxBatchBytes {
		return errBatch(fmt.Sprintf("the records of a batch have %d bytes, %d are the most", size, nebula.MaxBatchBytes))
	}
	return nil
}

// storeBatch gives the driver all records that are not too large, and locates the
// error of each.
func (s *shell) storeBatch(ctx context.Context, b nebula.BatchStorer, items []nebula.BatchItem) ([]nebula.BatchOutcome, error) {
	outcomes := make([]nebula.BatchOutcome, len(items))
	asked, places := make([]nebula.BatchItem, 0, len(items)), make([]int, 0, len(items))
	for i, item := range items {
		if size := len(item.Envelope.Bytes()); s.maxRecord > 0 && size > s.maxRecord {
			outcomes[i].Err = errTooLarge(size, s.maxRecord, s.name)
			continue
		}
		asked, places = append(asked, item), append(places, i)
	}
	answers, err := b.StoreBatch(ctx, asked)
	switch {
	case err != nil:
		return nil, err
	case len(answers) != len(asked): // what is not told must not pass for stored
		return nil, &nebula.Error{Kind: nebula.ErrInternal,
			Message: fmt.Sprintf("the driver tells of %d records of %d", len(answers), len(asked))}
	}
	for i, answer := range answers {
		outcomes[places[i]] = answer
	}
	for i := range outcomes {
		outcomes[i].Err = s.fail(Call{Op: OpStore, Name: items[i].Name}, outcomes[i].Err)
	}
	return outcomes, nil
}
