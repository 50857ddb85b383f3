package vault_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/vault"
)

// New makes a provider from a configuration and from options that observe it.
func Example() {
	config := vault.DefaultConfig() // VAULT_ADDR, VAULT_TOKEN and VAULT_NAMESPACE
	config.Address = "https://vault.example.com:8200"
	config.Auth = vault.Auth{Method: "approle", MountPath: "approle", RoleID: "my-service",
		SecretIDFile: "/run/secrets/secret-id"}
	metrics := new(provider.StorageMetrics)
	p, err := vault.New(config, provider.WithMetrics(metrics))
	if err != nil {
		fmt.Println(err)
		return
	}
	name, _ := nebula.ID("github_token").Name()
	_, err = p.Retrieve(context.Background(), name)
	fmt.Println(errors.Is(err, nebula.ErrClosed), metrics.RetrieveCount())
	// Output: true 1
}
