package bench

import (
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/bench/paired"
	"github.com/nebula-credential/nebula/provider/local"
)

func BenchmarkBatchNew(b *testing.B)   { benchmarkBatch(b, nebula.MaxBatch, true) }
func BenchmarkBatchAgain(b *testing.B) { benchmarkBatch(b, nebula.MaxBatch, false) }
func BenchmarkBatchOf20(b *testing.B)  { benchmarkBatch(b, 20, true) }

// benchmarkBatch compares batches of sealed records, as the provider gets them,
// with one bare writer, per record.
func benchmarkBatch(b *testing.B, size int, fresh bool) {
	s := newStore(b)
	s.fill(b, credentials, nebula.PutOptions{})
	dir, record := bareDir(b, s)
	config := local.DefaultConfig()
	config.BasePath = s.dir
	p, err := local.New(config)
	check(b, err)
	check(b, p.(nebula.Connector).Connect(ctx))
	b.Cleanup(func() { p.(nebula.Connector).Close() })
	batches, _ := nebula.As[nebula.BatchStorer](p)
	name, err := id(0).Name()
	check(b, err)
	stored, err := p.Retrieve(ctx, name)
	check(b, err)
	at := func(i int) nebula.ID {
		if fresh {
			return id(credentials + i)
		}
		return id(i % credentials)
	}
	paired.Run(b, size,
		func(i int) { bareStore(b, dir, filepath.Join(dir.Name(), string(at(i))+".enc.json"), record) },
		func(i int) {
			if i%size != 0 {
				return
			}
			items := make([]nebula.BatchItem, size)
			for j := range items {
				name, err := at(i + j).Name()
				check(b, err)
				items[j] = nebula.BatchItem{Name: name, Envelope: stored.Envelope}
			}
			outcomes, err := batches.StoreBatch(ctx, items)
			check(b, err)
			for _, o := range outcomes {
				check(b, o.Err)
			}
		})
}

// BenchmarkBulkPut is many goroutines that put new credentials.
func BenchmarkBulkPut(b *testing.B) {
	s := newStore(b)
	bulk(b, s, func(i int) { s.putMany(b, i+credentials) })
}

// BenchmarkBulkRotate seals all credentials anew.
func BenchmarkBulkRotate(b *testing.B) {
	s := newStore(b)
	s.putMany(b, 0)
	bulk(b, s, func(int) {
		result, err := s.Rotate(ctx, nebula.RotateOptions{})
		check(b, err)
		if result.Sealed != credentials {
			b.Fatalf("%d were sealed anew", result.Sealed)
		}
	})
}

// bulk compares what writes 10,000 credentials, called with the number of the first,
// with one bare writer, per credential.
func bulk(b *testing.B, s store, ours func(i int)) {
	if _, err := s.Put(ctx, id(0), secret(), nebula.PutOptions{}); err != nil {
		b.Fatal(err)
	}
	dir, record := bareDir(b, s)
	paired.Run(b, credentials,
		func(i int) { bareStore(b, dir, filepath.Join(dir.Name(), string(id(i))+".enc.json"), record) },
		func(i int) {
			if i%credentials == 0 {
				ours(i)
			}
		})
}

// putMany puts 10,000 credentials, from the one of a number on.
func (s store) putMany(b *testing.B, first int) {
	value := secret()
	var group errgroup.Group
	group.SetLimit(s.Jobs())
	for i := range credentials {
		group.Go(func() error {
			_, err := s.Put(ctx, id(first+i), value, nebula.PutOptions{IfAbsent: true})
			return err
		})
	}
	check(b, group.Wait())
}
