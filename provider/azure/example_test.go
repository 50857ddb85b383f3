package azure_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/middleware"
	"github.com/nebula-credential/nebula/provider/azure"
)

// A provider is made of a configuration and wrapped in the layers that retry,
// limit and observe it.
func Example() {
	config := azure.DefaultConfig() // AZURE_KEYVAULT_URL, AZURE_CLIENT_ID, …
	config.VaultURL = "https://my-vault.vault.azure.net"
	config.Credential = azure.Credential{Type: azure.TypeManagedIdentity}
	bare, err := azure.New(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	metrics := new(middleware.StorageMetrics)
	p := middleware.Stack(bare, middleware.Options{Metrics: metrics})
	name, _ := nebula.ID("github_token").Name()
	_, err = p.Retrieve(context.Background(), name)
	fmt.Println(errors.Is(err, nebula.ErrClosed), metrics.RetrieveCount())
	// Output: true 1
}
