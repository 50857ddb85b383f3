package backends

import (
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/bench/paired"
	"github.com/nebula-credential/nebula/internal/httpx"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/azure"
)

// BenchmarkAzure has the server in its own process: its work is in both figures.
func BenchmarkAzure(b *testing.B) {
	s := livetest.NewAzure(b, azureserver.Options{})
	c := azure.DefaultConfigIn(func(string) string { return "" })
	c.VaultURL, c.Transport = s.URL(), s.Server.Transport()
	c.Credential = azure.Credential{Type: "service_principal", TenantID: azureserver.TenantID,
		ClientID: azureserver.ClientID, ClientSecret: nebula.NewSecret([]byte(s.Server.ClientSecret()))}
	p, err := azure.New(c, provider.WithMetrics(new(provider.StorageMetrics)))
	check(b, err)
	connect(b, p)
	name, e := storeTimed(b, p, 0)
	secret := c.SecretPrefix + "timed"
	latest, err := s.Latest(secret)
	check(b, err)
	tags := make(map[string]*string)
	for key, value := range latest.Tags {
		tags[key] = &value
	}
	sdk, text := azureSDK(b, s), string(e.Bytes())
	paired.Calls(b, "retrieve",
		func() error { _, err := sdk.GetSecret(ctx, secret, "", nil); return err },
		func() error { _, err := p.Retrieve(ctx, name); return err })
	paired.Calls(b, "store again",
		func() error {
			_, err := sdk.SetSecret(ctx, secret, azsecrets.SetSecretParameters{Value: &text, Tags: tags}, nil)
			return err
		},
		func() error { _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); return err })
}

func azureSDK(b *testing.B, s *livetest.AzureVault) *azsecrets.Client {
	b.Helper()
	options := azcore.ClientOptions{Transport: httpx.NewClient(httpx.Options{Transport: s.Server.Transport(), Total: time.Minute, MaxBody: 1 << 20})}
	credential, err := azidentity.NewClientSecretCredential(azureserver.TenantID, azureserver.ClientID, s.Server.ClientSecret(),
		&azidentity.ClientSecretCredentialOptions{ClientOptions: options})
	check(b, err)
	client, err := azsecrets.NewClient(s.URL(), credential, &azsecrets.ClientOptions{ClientOptions: options})
	check(b, err)
	return client
}
