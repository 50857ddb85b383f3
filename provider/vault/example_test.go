package vault_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/middleware"
	"github.com/nebula-credential/nebula/provider/vault"
)

// A provider is made of a configuration and wrapped in the layers that retry,
// limit and observe it.
func Example() {
	config := vault.DefaultConfig() // VAULT_ADDR, VAULT_TOKEN and VAULT_NAMESPACE
	config.Address = "https://vault.example.com:8200"
	config.Auth = vault.Auth{Method: vault.MethodAppRole, MountPath: "approle", RoleID: "my-service",
		SecretIDFile: "/run/secrets/secret-id"}
	bare, err := vault.New(config)
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
