// Package bench compares the local store with the bare operations that it consists of and
// with other stores, and the command with an empty Go program and with other programs.
// docs/performance.md has the figures. scripts/bench records and draws them.
package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/bench/paired"
	"github.com/nebula-credential/nebula/provider/local"
)

// credentials is the number of credentials in a store. TestMain sets it.
var credentials int

var ctx = context.Background()

// store is an open store on files. It holds its data key already.
type store struct {
	*nebula.Store
	dir string
	key nebula.Key
}

func (s store) path(id nebula.ID) string { return filepath.Join(s.dir, string(id)+".enc.json") }

// newStore makes a store in a directory of its own.
func newStore(b *testing.B) store {
	b.Helper()
	dir, err := os.MkdirTemp(stores, "")
	if err != nil {
		b.Fatal(err)
	}
	key := &nebula.KeyFile{Path: filepath.Join(dir, "key")}
	if err := nebula.CreateKeyFile(key.Path); err != nil {
		b.Fatal(err)
	}
	config := local.DefaultConfig()
	config.BasePath = filepath.Join(dir, "credentials")
	provider, err := local.New(config)
	if err != nil {
		b.Fatal(err)
	}
	s, err := nebula.Open(ctx, provider, nebula.Options{Keys: []nebula.Key{key}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	if _, err := s.Init(ctx, key); err != nil {
		b.Fatal(err)
	}
	return store{s, config.BasePath, key}
}

// fill copies one record to n ids. Only the first opens: for the others, the number of
// files matters.
func (s store) fill(b *testing.B, n int, options nebula.PutOptions) {
	b.Helper()
	if _, err := s.Put(ctx, id(0), secret(), options); err != nil {
		b.Fatal(err)
	}
	record, err := os.ReadFile(s.path(id(0)))
	if err != nil {
		b.Fatal(err)
	}
	for i := 1; i < n; i++ {
		if err := os.WriteFile(s.path(id(i)), record, 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

// atScale returns n, which only a measurement needs. With -short it returns a hundredth,
// which shows that the benchmark works.
func atScale(n int) int {
	if testing.Short() {
		return n / 100
	}
	return n
}

func id(i int) nebula.ID { return nebula.ID(fmt.Sprintf("credential-%07d", i)) }

// secret returns 1 KiB of random bytes.
func secret() nebula.Secret {
	value := make([]byte, 1024)
	_, _ = rand.Read(value)
	return nebula.NewSecret(value)
}

func check(b *testing.B, err error) {
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkRetrieve reads each credential once, up to 50 rounds. A second read would come
// from memory if the file has not changed for two seconds.
func BenchmarkRetrieve(b *testing.B) {
	s := newStore(b)
	s.putMany(b, 0)
	get := func(i int) { _, err := s.Get(ctx, id(i%credentials)); check(b, err) }
	paired.Run(b, 200, func(i int) { _, err := os.ReadFile(s.path(id(i % credentials))); check(b, err) }, get)
	i := 2 * credentials
	b.ReportMetric(testing.AllocsPerRun(100, func() { i--; get(i) }), "nebula-allocs")
}

// BenchmarkRetrieveAgain reads a credential that was read before.
func BenchmarkRetrieveAgain(b *testing.B) {
	s := newStore(b)
	s.fill(b, credentials, nebula.PutOptions{})
	get := func(int) { _, err := s.Get(ctx, id(0)); check(b, err) }
	settle()
	get(0)
	paired.Run(b, 200, func(int) { _, err := os.ReadFile(s.path(id(0))); check(b, err) }, get)
}

// settle waits, because a file that has just changed is read each time.
func settle() { time.Sleep(2100 * time.Millisecond) }

func BenchmarkExists(b *testing.B) {
	s := newStore(b)
	s.fill(b, credentials, nebula.PutOptions{})
	path := s.path(id(0))
	paired.Run(b, 500,
		func(int) { _, err := os.Lstat(path); check(b, err) },
		func(int) { _, err := s.Exists(ctx, id(0)); check(b, err) })
}

// bareStore makes a durable write and does nothing else.
func bareStore(b *testing.B, dir *os.File, path string, record []byte) {
	var random [8]byte
	_, _ = rand.Read(random[:])
	temporary := filepath.Join(dir.Name(), ".bare-"+hex.EncodeToString(random[:]))
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	check(b, err)
	_, err = f.Write(record)
	check(b, err)
	check(b, f.Sync())
	check(b, f.Close())
	check(b, os.Rename(temporary, path))
	check(b, dir.Sync())
}

// bareDir makes a directory beside the store's, with as many files.
func bareDir(b *testing.B, s store) (*os.File, []byte) {
	b.Helper()
	record, err := os.ReadFile(s.path(id(0)))
	check(b, err)
	path := s.dir + "-bare"
	check(b, os.Mkdir(path, 0o700))
	for i := range credentials {
		check(b, os.WriteFile(filepath.Join(path, string(id(i))+".enc.json"), record, 0o600))
	}
	dir, err := os.Open(path)
	check(b, err)
	b.Cleanup(func() { dir.Close() })
	return dir, record
}

func BenchmarkStoreNew(b *testing.B)     { benchmarkStore(b, 1, true) }
func BenchmarkStoreAgain(b *testing.B)   { benchmarkStore(b, 1, false) }
func BenchmarkStoreNew16(b *testing.B)   { benchmarkStore(b, 16, true) }
func BenchmarkStoreAgain16(b *testing.B) { benchmarkStore(b, 16, false) }

// benchmarkStore compares several writers at once with a single bare writer, for each
// credential.
func benchmarkStore(b *testing.B, writers int, fresh bool) {
	s := newStore(b)
	s.fill(b, credentials, nebula.PutOptions{})
	dir, record := bareDir(b, s)
	value := secret()
	at := func(i int) nebula.ID {
		if fresh {
			return id(credentials + i)
		}
		return id(i % 100)
	}
	if !fresh {
		for i := range 100 { // Put reads these records, so they must open
			_, err := s.Put(ctx, id(i), value, nebula.PutOptions{Force: true})
			check(b, err)
		}
	}
	settle() // or each store reads the keyring, which has just been made
	const perRound = 32
	paired.Run(b, perRound,
		func(i int) { bareStore(b, dir, filepath.Join(dir.Name(), string(at(i))+".enc.json"), record) },
		func(i int) {
			if i%perRound != 0 {
				return
			}
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for j := range perRound / writers {
						if _, err := s.Put(ctx, at(i+w*perRound/writers+j), value, nebula.PutOptions{}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
		})
	if writers == 1 {
		b.ReportMetric(testing.AllocsPerRun(50, func() {
			_, err := s.Put(ctx, id(0), value, nebula.PutOptions{})
			check(b, err)
		}), "nebula-allocs")
	}
}
