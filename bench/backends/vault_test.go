package backends

import (
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/bench/paired"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/vault"
)

func BenchmarkVault(b *testing.B) {
	s := livetest.Vault(b)
	c := vault.DefaultConfigIn(func(string) string { return "" })
	c.Address, c.CACert, c.MountPath, c.PathPrefix = s.Address, s.CAFile, s.Mount(b, 2), "bench"
	c.Auth.Token = nebula.NewSecret([]byte(s.RootToken))
	p, err := vault.New(c, provider.OneShot(), provider.WithMetrics(new(provider.StorageMetrics)))
	check(b, err)
	connect(b, p)
	name, e := storeTimed(b, p, 99)
	sdk := vaultSDK(b, s)
	kv, path := sdk.KVv2(c.MountPath), c.PathPrefix+"/timed"
	data := map[string]any{"record": string(e.Bytes())}
	paired.Calls(b, "retrieve",
		func() error { _, err := kv.Get(ctx, path); return err },
		func() error { _, err := p.Retrieve(ctx, name); return err })
	paired.Calls(b, "store again",
		func() error { _, err := kv.Put(ctx, path, data); return err },
		func() error { _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); return err })
	paired.Calls(b, "exists",
		func() error { _, err := kv.GetMetadata(ctx, path); return err },
		func() error { _, err := p.Exists(ctx, name); return err })
	query := map[string][]string{"list": {"true"}, "exclude_deleted": {"true"}}
	paired.Calls(b, "list of 100 names",
		func() error {
			_, err := sdk.Logical().ReadWithDataWithContext(ctx, c.MountPath+"/metadata/"+c.PathPrefix+"/", query)
			return err
		},
		func() error { return listAll(ctx, p) })
}

// vaultAbsent is the condition that the secret does not exist.
var vaultAbsent = api.WithCheckAndSet(0)

func vaultNoted(custom map[string]any) api.KVMetadataPutInput {
	return api.KVMetadataPutInput{CustomMetadata: custom}
}

func vaultSDK(b *testing.B, s *livetest.VaultServer) *api.Client {
	b.Helper()
	config := api.DefaultConfig()
	config.Address = s.Address
	client, err := api.NewClient(config)
	check(b, err)
	client.SetToken(s.RootToken)
	client.ClearNamespace()
	return client
}
