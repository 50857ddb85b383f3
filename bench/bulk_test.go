package bench

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/bench/paired"
	"github.com/nebula-credential/nebula/migrate"
	"github.com/nebula-credential/nebula/provider/local"
	"github.com/nebula-credential/nebula/transfer"
)

func BenchmarkBatchNew(b *testing.B)   { benchmarkBatch(b, nebula.MaxBatch, true) }
func BenchmarkBatchAgain(b *testing.B) { benchmarkBatch(b, nebula.MaxBatch, false) }
func BenchmarkBatchOf20(b *testing.B)  { benchmarkBatch(b, 20, true) }

// benchmarkBatch compares batches of sealed records, as the provider gets them, with one
// bare writer, for each record.
func benchmarkBatch(b *testing.B, size int, fresh bool) {
	s := newStore(b)
	s.fill(b, credentials, nebula.PutOptions{})
	dir, record := bareDir(b, s)
	batches, sealed := sealedBatches(b, s)
	at := func(i int) int {
		if fresh {
			return credentials + i
		}
		return i % credentials
	}
	paired.Run(b, size,
		func(i int) {
			bareStore(b, dir, filepath.Join(dir.Name(), string(id(at(i)))+".enc.json"), record)
		},
		func(i int) {
			if i%size == 0 {
				storeBatch(b, batches, sealed, at(i), size)
			}
		})
}

// sealedBatches returns another provider on the files of a store, and a record.
func sealedBatches(b *testing.B, s store) (nebula.BatchStorer, *nebula.Envelope) {
	config := local.DefaultConfig()
	config.BasePath = s.dir
	p, err := local.New(config)
	check(b, err)
	check(b, p.(nebula.Connector).Connect(ctx))
	b.Cleanup(func() { p.(nebula.Connector).Close() })
	batches, ok := nebula.As[nebula.BatchStorer](p)
	if !ok {
		b.Fatal("the provider cannot store batches")
	}
	name, err := id(0).Name()
	check(b, err)
	stored, err := p.Retrieve(ctx, name)
	check(b, err)
	return batches, stored.Envelope
}

// storeBatch stores one record under the names from number first on.
func storeBatch(b *testing.B, batches nebula.BatchStorer, sealed *nebula.Envelope, first, size int) {
	items := make([]nebula.BatchItem, size)
	for i := range items {
		name, err := id(first + i).Name()
		check(b, err)
		items[i] = nebula.BatchItem{Name: name, Envelope: sealed}
	}
	outcomes, err := batches.StoreBatch(ctx, items)
	check(b, err)
	for _, o := range outcomes {
		check(b, o.Err)
	}
}

// BenchmarkBatchBesideOthers stores a batch just after another program has written 128 MiB
// to the same file system. It compares that with a flush of these bytes alone, for which
// the batch has to wait.
func BenchmarkBatchBesideOthers(b *testing.B) {
	s := newStore(b)
	_, err := s.Put(ctx, id(0), secret(), nebula.PutOptions{})
	check(b, err)
	batches, sealed := sealedBatches(b, s)
	others, err := os.Create(filepath.Join(filepath.Dir(s.dir), "others"))
	check(b, err)
	defer others.Close()
	data := make([]byte, 128<<20)
	paired.Run(b, 1,
		func(int) {
			_, err := others.WriteAt(data, 0)
			check(b, err)
			check(b, others.Sync())
		},
		func(int) {
			_, err := others.WriteAt(data, 0)
			check(b, err)
			storeBatch(b, batches, sealed, 0, nebula.MaxBatch)
		})
}

// BenchmarkBulkPut puts new credentials from many goroutines.
func BenchmarkBulkPut(b *testing.B) {
	s := newStore(b)
	bulk(b, s, func(i int) { s.putMany(b, i+credentials) })
}

// BenchmarkBulkRotate seals all credentials anew, over the old ones. The bare writer
// overwrites files, too.
func BenchmarkBulkRotate(b *testing.B) {
	s := newStore(b)
	s.putMany(b, 0)
	bulkBeside(b, s, func(int) {
		result, err := s.Rotate(ctx, nebula.RotateOptions{})
		check(b, err)
		if result.Sealed != credentials {
			b.Fatalf("%d credentials were sealed anew", result.Sealed)
		}
	}, func(i int) int { return i % credentials })
}

// BenchmarkBulkCopy copies all credentials, sealed, into an empty directory, and reads
// each back.
func BenchmarkBulkCopy(b *testing.B) {
	s := newStore(b)
	s.putMany(b, 0)
	bulk(b, s, func(int) {
		to := s.beside(b)
		defer to.Close()
		report, err := transfer.Copy(ctx, s.Store, to, transfer.Options{})
		check(b, err)
		if len(report.Copied) != credentials {
			b.Fatalf("%d credentials were copied", len(report.Copied))
		}
	})
}

// BenchmarkBulkImport imports a backup of all credentials into an empty directory.
func BenchmarkBulkImport(b *testing.B) {
	s := newStore(b)
	s.putMany(b, 0)
	var export exported
	_, err := transfer.Export(ctx, s.Store, &export, transfer.ExportOptions{})
	check(b, err)
	bulk(b, s, func(int) {
		backup, err := transfer.OpenBackup(bytes.NewReader(export.Bytes()), int64(export.Len()))
		check(b, err)
		to := s.beside(b)
		defer to.Close()
		report, err := transfer.Import(ctx, to, backup, transfer.ImportOptions{})
		check(b, err)
		if len(report.Imported) != credentials {
			b.Fatalf("%d credentials were imported", len(report.Imported))
		}
	})
}

// exported is an export in memory.
type exported struct{ bytes.Buffer }

func (e *exported) Reset() error { e.Buffer.Reset(); return nil }

// BenchmarkBulkMigrate takes over a directory of version 1 records.
func BenchmarkBulkMigrate(b *testing.B) {
	s := newStore(b)
	var key [migrate.KeySize]byte
	old := filepath.Join(filepath.Dir(s.dir), "old")
	check(b, os.Mkdir(old, 0o700))
	record := version1(b, key, secret().Reveal())
	for i := range credentials {
		check(b, os.WriteFile(filepath.Join(old, string(id(i))+".cred"), record, 0o600))
	}
	bulk(b, s, func(int) {
		to := s.beside(b)
		defer to.Close()
		_, err := to.Init(ctx, s.key)
		check(b, err)
		report, err := migrate.Dir(ctx, to, old, migrate.NewKey(key), migrate.Options{})
		check(b, err)
		if len(report.Migrated) != credentials {
			b.Fatalf("%d records were migrated", len(report.Migrated))
		}
	})
}

// version1 returns a record of version 1. Such a record opens under any id.
func version1(b *testing.B, key [migrate.KeySize]byte, value []byte) []byte {
	block, err := aes.NewCipher(key[:])
	check(b, err)
	gcm, err := cipher.NewGCM(block)
	check(b, err)
	nonce := make([]byte, gcm.NonceSize())
	_, _ = rand.Read(nonce)
	box := gcm.Seal(nil, nonce, value, nil)
	text := len(box) - gcm.Overhead()
	numbers := func(data []byte) []int {
		n := make([]int, len(data))
		for i, c := range data {
			n[i] = int(c)
		}
		return n
	}
	record, err := json.Marshal(map[string]any{
		"version": 1,
		"encrypted_data": map[string]any{"version": 1, "nonce": numbers(nonce),
			"ciphertext": numbers(box[:text]), "tag": numbers(box[text:])},
		"metadata": map[string]any{"created_at": "2024-05-06T07:08:09Z", "last_accessed": nil, "last_modified": "2024-05-06T07:08:09Z",
			"scope": nil, "rotation_policy": nil, "tags": map[string]string{}},
	})
	check(b, err)
	return record
}

// beside opens a store in a new directory beside this one, without a keyring.
func (s store) beside(b *testing.B) *nebula.Store {
	dir, err := os.MkdirTemp(filepath.Dir(s.dir), "beside-")
	check(b, err)
	config := local.DefaultConfig()
	config.BasePath = dir
	p, err := local.New(config)
	check(b, err)
	to, err := nebula.Open(ctx, p, nebula.Options{Keys: []nebula.Key{s.key}})
	check(b, err)
	return to
}

// bulk compares ours, which writes 10,000 credentials from number i on, with one bare
// writer of new files, for each credential.
func bulk(b *testing.B, s store, ours func(i int)) {
	bulkBeside(b, s, ours, func(i int) int { return credentials + i })
}

// bulkBeside is bulk, except that at chooses the numbers of the bare writer's files.
func bulkBeside(b *testing.B, s store, ours func(i int), at func(i int) int) {
	if _, err := s.Put(ctx, id(0), secret(), nebula.PutOptions{}); err != nil {
		b.Fatal(err)
	}
	dir, record := bareDir(b, s)
	paired.Run(b, credentials,
		func(i int) { bareStore(b, dir, filepath.Join(dir.Name(), string(id(at(i)))+".enc.json"), record) },
		func(i int) {
			if i%credentials == 0 {
				ours(i)
			}
		})
}

// putMany puts 10,000 credentials, from number first on.
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
