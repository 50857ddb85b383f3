package bench

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/bench/paired"
)

// peer is another store, with the least that a store of credentials must do. A failure ends
// the benchmark.
type peer interface {
	get(b *testing.B, name string) []byte
	put(b *testing.B, name string, value []byte)
	has(b *testing.B, name string) bool
	list(b *testing.B) int
	// fill puts a value under 10,000 names, as fast as it can.
	fill(b *testing.B, name func(i int) string, value []byte)
}

func BenchmarkPeerSQLite(b *testing.B)  { benchmarkPeer(b, newSQLite) }
func BenchmarkPeerBolt(b *testing.B)    { benchmarkPeer(b, newBolt) }
func BenchmarkPeerKeyring(b *testing.B) { benchmarkPeer(b, newKeyring) }

// benchmarkPeer compares the operations of another store with those of ours. Both have one
// caller and 10,000 values of 1 KiB, and hold the key.
func benchmarkPeer(b *testing.B, open func(b *testing.B, dir string) peer) {
	s := newStore(b)
	s.putMany(b, 0)
	dir := filepath.Join(filepath.Dir(s.dir), "peer")
	check(b, os.Mkdir(dir, 0o700))
	theirs := open(b, dir)
	name := func(i int) string { return string(id(i)) }
	secret := secret()
	value := secret.Reveal()
	theirs.fill(b, name, value)
	if got := theirs.get(b, name(1)); !bytes.Equal(got, value) || !theirs.has(b, name(1)) || theirs.list(b) != credentials {
		b.Fatal("the other store lacks a value that was put")
	}
	run := func(what string, perRound int, bare, ours func(i int)) {
		b.Run(what, func(b *testing.B) { paired.Run(b, perRound, bare, ours) })
	}
	// Each value is read once, up to 50 rounds: our store keeps records in memory.
	run("retrieve", 200,
		func(i int) { theirs.get(b, name(i%credentials)) },
		func(i int) { _, err := s.Get(ctx, id(i%credentials)); check(b, err) })
	run("exists", 200,
		func(i int) { theirs.has(b, name(i%credentials)) },
		func(i int) { _, err := s.Exists(ctx, id(i%credentials)); check(b, err) })
	run("list", 1,
		func(int) { theirs.list(b) },
		func(int) { wantEntries(b, s, nebula.ListOptions{}, credentials) })
	run("store again", 32,
		func(i int) { theirs.put(b, name(i%credentials), value) },
		func(i int) { _, err := s.Put(ctx, id(i%credentials), secret, nebula.PutOptions{}); check(b, err) })
	run("store new", 32,
		func(i int) { theirs.put(b, name(credentials+i), value) },
		func(i int) { _, err := s.Put(ctx, id(credentials+i), secret, nebula.PutOptions{}); check(b, err) })
}

// newSeal returns AES-GCM with a random key and random nonces. Callers give the name of a
// value as additional data, so that a value under another name does not open.
func newSeal(b *testing.B) cipher.AEAD {
	b.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	check(b, err)
	seal, err := cipher.NewGCMWithRandomNonce(block)
	check(b, err)
	return seal
}
