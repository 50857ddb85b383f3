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

func BenchmarkBulk16(b *testing.B)  { benchmarkBulk(b, 16) }
func BenchmarkBulk32(b *testing.B)  { benchmarkBulk(b, 32) }
func BenchmarkBulk64(b *testing.B)  { benchmarkBulk(b, 64) }
func BenchmarkBulk128(b *testing.B) { benchmarkBulk(b, 128) }

func benchmarkBulk(b *testing.B, writers int) {
	s := newStore(b)
	s.fill(b, credentials, nebula.PutOptions{})
	dir, record := bareDir(b, s)
	value := secret()
	const perRound = 1000
	paired.Run(b, perRound,
		func(i int) {
			bareStore(b, dir, filepath.Join(dir.Name(), string(id(credentials+i))+".enc.json"), record)
		},
		func(i int) {
			if i%perRound != 0 {
				return
			}
			var group errgroup.Group
			group.SetLimit(writers)
			for j := range perRound {
				group.Go(func() error {
					_, err := s.Put(ctx, id(credentials+i+j), value, nebula.PutOptions{IfAbsent: true})
					return err
				})
			}
			check(b, group.Wait())
		})
}
