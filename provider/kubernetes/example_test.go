package kubernetes_test

import (
	"context"
	"fmt"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/kubernetes"
)

// New makes a provider from a configuration, and options observe it.
func Example() {
	config := kubernetes.DefaultConfig() // KUBECONFIG, the pod's service account, or ~/.kube/config
	config.Namespace = "nebula"
	p, err := kubernetes.New(config, provider.WithMetrics(new(provider.StorageMetrics)))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	store, err := nebula.Open(ctx, p, nebula.Options{Keys: []nebula.Key{&nebula.KeyFile{Path: "/run/secrets/nebula-key"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	credential, err := store.Get(ctx, "github_token")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer credential.Secret.Wipe()
}
