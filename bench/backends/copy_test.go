package backends

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/bench/paired"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider/local"
	"github.com/nebula-credential/nebula/provider/vault"
	"github.com/nebula-credential/nebula/transfer"
)

const (
	copied     = 1000 // credentials
	atOnce     = 8
	valueBytes = 1024
)

// filled returns a store of files with credentials of 1 KiB, and its key.
func filled(b *testing.B) (*nebula.Store, nebula.Key) {
	b.Helper()
	dir := b.TempDir()
	path := filepath.Join(dir, "key")
	check(b, nebula.CreateKeyFile(path))
	key := &nebula.KeyFile{Path: path}
	c := local.DefaultConfig()
	c.BasePath = filepath.Join(dir, "credentials")
	p, err := local.New(c)
	check(b, err)
	s, err := nebula.Open(ctx, p, nebula.Options{Keys: []nebula.Key{key}})
	check(b, err)
	b.Cleanup(func() { _ = s.Close() })
	_, err = s.Init(ctx, key)
	check(b, err)
	var group sync.WaitGroup
	for part := range atOnce {
		group.Go(func() {
			for i := part; i < copied; i += atOnce {
				_, err := s.Put(ctx, nebula.ID(fmt.Sprintf("c%04d", i)), nebula.NewSecret([]byte(strings.Repeat("v", valueBytes))), nebula.PutOptions{IfAbsent: true})
				check(b, err)
			}
		})
	}
	group.Wait()
	return s, key
}

// BenchmarkCopyToVault copies 1,000 credentials from files to Vault: it plans, writes each
// on a condition and reads it back. Eight writers with Vault's own client make the same
// calls with the same bytes: a write on a condition, the custom metadata, a read.
func BenchmarkCopyToVault(b *testing.B) {
	server := livetest.Vault(b)
	from, key := filled(b)
	mount := server.Mount(b, 2)
	sdk := vaultSDK(b, server)
	kv := sdk.KVv2(mount)
	destination := func(prefix string) *nebula.Store {
		c := vault.DefaultConfigIn(func(string) string { return "" })
		c.Address, c.CACert, c.MountPath, c.PathPrefix = server.Address, server.CAFile, mount, prefix
		c.Auth.Token = nebula.NewSecret([]byte(server.RootToken))
		p, err := vault.New(c)
		check(b, err)
		s, err := nebula.Open(ctx, p, nebula.Options{Keys: []nebula.Key{key}})
		check(b, err)
		return s
	}
	var records [copied]string
	for i := range records {
		r, err := from.GetSealed(ctx, nebula.ID(fmt.Sprintf("c%04d", i)))
		check(b, err)
		records[i] = string(r.Envelope.Bytes())
	}
	// The provider notes custom metadata beside each record, for lists.
	first := destination("first")
	_, err := transfer.Copy(ctx, from, first, transfer.Options{IDs: []nebula.ID{"c0000"}})
	check(b, err)
	noted, err := kv.GetMetadata(ctx, "first/c0000")
	check(b, err)
	check(b, first.Close())

	bare := func(i int) {
		if i%copied != 0 {
			return
		}
		var group sync.WaitGroup
		for part := range atOnce {
			group.Go(func() {
				for n := part; n < copied; n += atOnce {
					path := fmt.Sprintf("bare%d/c%04d", i, n)
					_, err := kv.Put(ctx, path, map[string]any{"record": records[n]}, vaultAbsent)
					check(b, err)
					check(b, kv.PutMetadata(ctx, path, vaultNoted(noted.CustomMetadata)))
					back, err := kv.Get(ctx, path)
					check(b, err)
					if back.Data["record"] != records[n] {
						b.Error("the record that was read back differs")
					}
				}
			})
		}
		group.Wait()
	}
	ours := func(i int) {
		if i%copied != 0 {
			return
		}
		to := destination(fmt.Sprintf("ours%d", i))
		report, err := transfer.Copy(ctx, from, to, transfer.Options{Jobs: atOnce})
		check(b, err)
		if len(report.Copied) != copied {
			b.Fatalf("%d copied, %v", len(report.Copied), report.Failed)
		}
		check(b, to.Close())
	}
	paired.Run(b, copied, bare, ours)
}
