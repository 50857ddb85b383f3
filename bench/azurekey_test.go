package bench

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nebula-credential/nebula/bench/paired"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
)

// BenchmarkCommandGetByAzureKey compares nebula get from files with a key in our Key Vault
// server to the same with a key file, and counts the requests of one get.
func BenchmarkCommandGetByAzureKey(b *testing.B) {
	server, err := azureserver.New(azureserver.Options{})
	check(b, err)
	b.Cleanup(server.Close)
	vault := server.Vault("team")
	vault.AddKey("team", azureserver.KeySeed{})
	ca := filepath.Join(b.TempDir(), "ca.pem")
	check(b, os.WriteFile(ca, server.CA(), 0o600))
	byFile := newCommand(b)
	byFile.run(b, value(), byFile.nebula, "put", "x")
	byKey := byFile
	byKey.env = append(slices.Clone(byFile.env), "NEBULA_STORAGE_LOCAL_BASE_PATH="+filepath.Join(b.TempDir(), "store"),
		"NEBULA_KEY_AZURE_KEY_URL="+vault.URL()+"/keys/team", "NEBULA_KEY_AZURE_KEY_CREDENTIAL_TYPE=service_principal",
		"AZURE_TENANT_ID="+azureserver.TenantID, "AZURE_CLIENT_ID="+azureserver.ClientID, "AZURE_CLIENT_SECRET="+server.ClientSecret(),
		"HTTPS_PROXY="+server.ProxyURL(), "SSL_CERT_FILE="+ca)
	byKey.run(b, "", byKey.nebula, "init")
	byKey.run(b, value(), byKey.nebula, "put", "x")
	server.ForgetRequests()
	byKey.run(b, "", byKey.nebula, "get", "x")
	unwraps, all := vault.Count(azureserver.UnwrapKey), len(server.Requests())
	if unwraps != 1 || vault.Count(azureserver.Challenge) != 0 {
		b.Errorf("the key was called %d times", unwraps)
	}
	paired.Run(b, 1,
		func(int) { byFile.run(b, "", byFile.nebula, "get", "x") },
		func(int) { byKey.run(b, "", byKey.nebula, "get", "x") })
	byKey.report(b, byKey.nebula, "get", "x")
	b.ReportMetric(float64(all), "calls/op")
}
