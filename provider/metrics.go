package provider

import (
	"sync/atomic"
	"time"
)

// operations lists all operations, in the order of the counters.
func operations() [operationCount]string {
	return [...]string{OpConnect, OpStore, OpRetrieve, OpDelete, OpList, OpExists, OpRestore, OpPurge,
		OpHistory, OpRetrieveVersion, OpRetrieveBatch, OpStoreBatch, OpCheck}
}

const operationCount = 13

func operationIndex(op string) int {
	for i, known := range operations() {
		if op == known {
			return i
		}
	}
	return -1
}

// Buckets returns the upper bounds of the latency histograms, ascending. The
// last bucket, which has no upper bound, is not among them.
func Buckets() []time.Duration {
	all := buckets()
	return all[:]
}

func buckets() [bucketCount]time.Duration {
	return [...]time.Duration{
		50 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
		time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond,
		25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
		500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	}
}

const bucketCount = 18

// StorageMetrics counts the operations of one provider. The zero value is ready
// to use. Times are kept in nanoseconds: with milliseconds, the averages of a
// local store would be 0.
type StorageMetrics struct {
	operations [operationCount]operationMetrics
	retries    atomic.Uint64
}

type operationMetrics struct {
	count, errors, sum atomic.Uint64
	buckets            [bucketCount + 1]atomic.Uint64
}

// RecordOperation counts one call of an operation (one of the Op constants; any
// other is ignored), its duration and whether it succeeded. "Not found" counts
// as success.
func (m *StorageMetrics) RecordOperation(op string, duration time.Duration, success bool) {
	i := operationIndex(op)
	if i < 0 {
		return
	}
	o, bucket := &m.operations[i], 0
	for bounds := buckets(); bucket < len(bounds) && duration > bounds[bucket]; bucket++ {
	}
	o.buckets[bucket].Add(1)
	o.sum.Add(uint64(max(0, duration)))
	o.count.Add(1)
	if !success {
		o.errors.Add(1)
	}
}

// RecordRetry counts one attempt after the first of an operation.
func (m *StorageMetrics) RecordRetry() { m.retries.Add(1) }

func (m *StorageMetrics) count(op string) uint64 {
	return m.operations[operationIndex(op)].count.Load()
}

// StoreCount returns the number of stores.
func (m *StorageMetrics) StoreCount() uint64 { return m.count(OpStore) }

// RetrieveCount returns the number of retrievals.
func (m *StorageMetrics) RetrieveCount() uint64 { return m.count(OpRetrieve) }

// DeleteCount returns the number of deletions.
func (m *StorageMetrics) DeleteCount() uint64 { return m.count(OpDelete) }

// ListCount returns the number of pages of lists.
func (m *StorageMetrics) ListCount() uint64 { return m.count(OpList) }

// ExistsCount returns the number of checks whether a credential exists.
func (m *StorageMetrics) ExistsCount() uint64 { return m.count(OpExists) }

// RetryCount returns the number of attempts that were retries.
func (m *StorageMetrics) RetryCount() uint64 { return m.retries.Load() }

// ErrorCount returns the number of failures of all operations.
func (m *StorageMetrics) ErrorCount() uint64 {
	return m.total(func(o *operationMetrics) uint64 { return o.errors.Load() })
}

func (m *StorageMetrics) total(of func(*operationMetrics) uint64) (sum uint64) {
	for i := range m.operations {
		sum += of(&m.operations[i])
	}
	return sum
}

// StoreLatencySum returns the total duration of all stores.
func (m *StorageMetrics) StoreLatencySum() time.Duration { return m.latencySum(OpStore) }

// RetrieveLatencySum returns the total duration of all retrievals.
func (m *StorageMetrics) RetrieveLatencySum() time.Duration { return m.latencySum(OpRetrieve) }

func (m *StorageMetrics) latencySum(op string) time.Duration {
	return time.Duration(m.operations[operationIndex(op)].sum.Load())
}

// AvgStoreLatency returns the average duration of a store, 0 before the first.
func (m *StorageMetrics) AvgStoreLatency() time.Duration { return m.average(OpStore) }

// AvgRetrieveLatency returns the average duration of a retrieval, 0 before the
// first.
func (m *StorageMetrics) AvgRetrieveLatency() time.Duration { return m.average(OpRetrieve) }

func (m *StorageMetrics) average(op string) time.Duration {
	n := m.count(op)
	if n == 0 {
		return 0
	}
	return m.latencySum(op) / time.Duration(n)
}

// ErrorRate returns the share of operations that failed, from 0 to 1; 0 before
// the first.
func (m *StorageMetrics) ErrorRate() float64 {
	total := m.total(func(o *operationMetrics) uint64 { return o.count.Load() })
	if total == 0 {
		return 0
	}
	return float64(m.ErrorCount()) / float64(total)
}

// OperationMetrics is a snapshot of the counters of one operation.
type OperationMetrics struct {
	Op         string
	Count      uint64
	Errors     uint64
	LatencySum time.Duration
	Buckets    []uint64 // cumulative: the calls that took at most Buckets()[i]
}

// Operations returns the counters of all operations that were called.
func (m *StorageMetrics) Operations() []OperationMetrics {
	var all []OperationMetrics
	for i, op := range operations() {
		o := &m.operations[i]
		// Read the count first: a call recorded meanwhile may then be in a bucket
		// and not in the count, never the other way round.
		s := OperationMetrics{Op: op, Count: o.count.Load(), Errors: o.errors.Load(), LatencySum: time.Duration(o.sum.Load())}
		if s.Count == 0 {
			continue
		}
		var within uint64
		for bucket := range bucketCount {
			within += o.buckets[bucket].Load()
			s.Buckets = append(s.Buckets, min(within, s.Count))
		}
		all = append(all, s)
	}
	return all
}
