package livetest

import (
	"sync"
	"testing"

	"github.com/nebula-credential/nebula/internal/testing/azureserver"
)

// AzureVault is an empty key vault for one test, on a server that answers as Azure
// does. The server needs no build, so no test with it is ever skipped.
type AzureVault struct {
	*azureserver.Vault
	Server *azureserver.Server // its login, identities and transport
}

// Azure returns a vault for this test, on the server that all tests of the test binary
// share. Use NewAzure for what concerns the whole server, such as its clock, identities
// and Inject.
func Azure(t testing.TB) *AzureVault {
	t.Helper()
	server, err := sharedAzure()
	check(t, err)
	return &AzureVault{Vault: server.Vault("test-" + unique()), Server: server}
}

// The shared server lives as long as the test binary.
var sharedAzure = sync.OnceValues(func() (*azureserver.Server, error) {
	return azureserver.New(azureserver.Options{})
})

// NewAzure returns a vault on a server for this test alone, which ends with the test.
func NewAzure(t testing.TB, o azureserver.Options) *AzureVault {
	t.Helper()
	server, err := azureserver.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return &AzureVault{Vault: server.Vault("test-" + unique()), Server: server}
}
