package azure_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/azure"
)

// New makes a provider from a configuration. The provider retries, limits and counts
// its calls itself.
func Example() {
	config := azure.DefaultConfig() // AZURE_KEYVAULT_URL, AZURE_CLIENT_ID, …
	config.VaultURL = "https://my-vault.vault.azure.net"
	config.Credential = azure.Credential{Type: "managed_identity"}
	metrics := new(provider.StorageMetrics)
	p, err := azure.New(config, provider.WithMetrics(metrics))
	if err != nil {
		fmt.Println(err)
		return
	}
	name, _ := nebula.ID("github_token").Name()
	_, err = p.Retrieve(context.Background(), name)
	fmt.Println(errors.Is(err, nebula.ErrClosed), metrics.RetrieveCount())
	// Output: true 1
}
