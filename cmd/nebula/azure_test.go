package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// The whole command on a key vault, configured only by variables: testdata/live/azure.
func TestLiveScriptsAzure(t *testing.T) {
	t.Parallel() // it mostly waits
	runScripts(t, filepath.Join("testdata", "live", "azure"), onAzure(t))
}

// State changes take less time than on Azure, but they take time.
func onAzure(t *testing.T) func(*testscript.Env) {
	v := livetest.NewAzure(t, azureserver.Options{})
	v.SetDelays(azureserver.Delays{Delete: 500 * time.Millisecond, Recover: 500 * time.Millisecond,
		RecoverWrite: 300 * time.Millisecond, Purge: 500 * time.Millisecond})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, v.Server.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(env *testscript.Env) {
		for name, value := range map[string]string{
			"NEBULA_STORAGE_PROVIDER":              "azure",
			"NEBULA_STORAGE_AZURE_VAULT_URL":       v.URL(),
			"NEBULA_STORAGE_AZURE_CREDENTIAL_TYPE": "service_principal",
			"AZURE_TENANT_ID":                      azureserver.TenantID,
			"AZURE_CLIENT_ID":                      azureserver.ClientID,
			"AZURE_CLIENT_SECRET":                  v.Server.ClientSecret(),
			"IDENTITY_ENDPOINT":                    v.Server.IdentityEndpoint(),
			"IDENTITY_HEADER":                      v.Server.IdentityHeader(),
			"HTTPS_PROXY":                          v.Server.ProxyURL(),
			"SSL_CERT_FILE":                        ca,
		} {
			env.Setenv(name, value)
		}
	}
}
