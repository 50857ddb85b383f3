package provider_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// batcher is a driver that stores batches.
type batcher struct {
	driver
	store func([]nebula.BatchItem) ([]nebula.BatchOutcome, error)
}

func (b *batcher) StoreBatch(_ context.Context, items []nebula.BatchItem) ([]nebula.BatchOutcome, error) {
	return b.store(items)
}

func (b *batcher) Describe() nebula.Description {
	return nebula.Description{Provider: "test", MaxRecordSize: 1 << 10}
}

func batchOf(t *testing.T, n int) []nebula.BatchItem {
	t.Helper()
	items := make([]nebula.BatchItem, n)
	for i := range items {
		name := name(t, fmt.Sprintf("id%d", i))
		items[i] = nebula.BatchItem{Name: name, Envelope: envelope(t, name)}
	}
	return items
}

// TestStoreBatchLocates: the error of each record names it and is explained by the
// driver. The driver does not get records that are too large.
func TestStoreBatchLocates(t *testing.T) {
	d := &batcher{store: func(items []nebula.BatchItem) ([]nebula.BatchOutcome, error) {
		outcomes := make([]nebula.BatchOutcome, len(items))
		for i, item := range items {
			outcomes[i].Version = nebula.Version(item.Name.String())
		}
		outcomes[1] = nebula.BatchOutcome{Err: errors.New("foreign")}
		return outcomes, nil
	}}
	items := batchOf(t, 4)
	large, err := nebula.SealRecord([32]byte{}, items[1].Name, nebula.NewSecret(make([]byte, 1<<10)),
		nebula.Metadata{CreatedAt: time.Unix(1, 0), LastModified: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	items[1].Envelope = large
	outcomes, err := shelled(t, d, provider.Policy{}).(nebula.BatchStorer).StoreBatch(t.Context(), items)
	if err != nil {
		t.Fatal(err)
	}
	if outcomes[0].Version != "id0" || outcomes[3].Version != "id3" || outcomes[0].Err != nil || outcomes[3].Err != nil {
		t.Errorf("what was stored: %+v", outcomes)
	}
	if err := outcomes[1].Err; !errors.Is(err, nebula.ErrTooLarge) {
		t.Errorf("the large record: %v", err)
	}
	if err := outcomes[2].Err; err == nil || err.Error() != `store "id2" (test): explained` {
		t.Errorf("the record that failed: %v", err)
	}
}

// TestStoreBatchOfAForgetfulDriver: a record without an outcome does not count as
// stored.
func TestStoreBatchOfAForgetfulDriver(t *testing.T) {
	d := &batcher{store: func([]nebula.BatchItem) ([]nebula.BatchOutcome, error) { return make([]nebula.BatchOutcome, 1), nil }}
	outcomes, err := shelled(t, d, provider.Policy{}).(nebula.BatchStorer).StoreBatch(t.Context(), batchOf(t, 2))
	if outcomes != nil || !errors.Is(err, nebula.ErrInternal) {
		t.Errorf("%v, %v, want ErrInternal", outcomes, err)
	}
}

// TestStoreBatchIsRepeated: if a batch could not begin, it is repeated. If a record
// failed, it is not.
func TestStoreBatchIsRepeated(t *testing.T) {
	calls := 0
	unavailable := &nebula.Error{Kind: nebula.ErrUnavailable, Message: "not now"}
	d := &batcher{store: func(items []nebula.BatchItem) ([]nebula.BatchOutcome, error) {
		if calls++; calls == 1 {
			return nil, unavailable
		}
		return []nebula.BatchOutcome{{Version: "1"}, {Err: unavailable}}, nil
	}}
	metrics := new(provider.StorageMetrics)
	p := shelled(t, d, provider.Policy{Retry: provider.DefaultRetryPolicy()}, provider.WithMetrics(metrics),
		provider.WithClock(&fakeClock{now: time.Unix(0, 0)}))
	if _, err := p.Exists(t.Context(), name(t, "x")); err != nil { // a failure is repeated only after an answer
		t.Fatal(err)
	}
	outcomes, err := p.(nebula.BatchStorer).StoreBatch(t.Context(), batchOf(t, 2))
	if err != nil || outcomes[0].Err != nil || !errors.Is(outcomes[1].Err, nebula.ErrUnavailable) {
		t.Errorf("%+v, %v", outcomes, err)
	}
	if calls != 2 || metrics.RetryCount() != 1 {
		t.Errorf("%d calls, %d retries", calls, metrics.RetryCount())
	}
	for _, o := range metrics.Operations() {
		if o.Op == provider.OpStoreBatch && (o.Count != 1 || o.Errors != 0) {
			t.Errorf("the metrics: %+v", o)
		}
	}
}
