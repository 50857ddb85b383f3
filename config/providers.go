package config

import (
	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/middleware"
	"github.com/nebula-credential/nebula/provider/aws"
	"github.com/nebula-credential/nebula/provider/azure"
	"github.com/nebula-credential/nebula/provider/kubernetes"
	"github.com/nebula-credential/nebula/provider/local"
	"github.com/nebula-credential/nebula/provider/memory"
	"github.com/nebula-credential/nebula/provider/vault"
)

// drivers lists the providers that a configuration can name. A new one is one
// line here: its name is its section, [storage.NAME], and the koanf tags of its
// configuration are the keys in it.
func drivers() []driver {
	return []driver{
		register("local", local.DefaultConfig, local.New),
		register("memory", memory.DefaultConfig, memory.New),
		registerNetworked("aws", aws.DefaultConfigIn, aws.New, func(*aws.Config, OpenOptions) {}, map[string]string{"region": "AWS_REGION"}),
		registerNetworked("azure", azure.DefaultConfigIn, azure.New,
			func(c *azure.Config, o OpenOptions) { c.Logger = o.Logger },
			map[string]string{"vault_url": "AZURE_KEYVAULT_URL", "credential.tenant_id": "AZURE_TENANT_ID",
				"credential.client_id": "AZURE_CLIENT_ID", "credential.federated_token_file": "AZURE_FEDERATED_TOKEN_FILE"}),
		registerNetworked("kubernetes", kubernetes.DefaultConfigIn, kubernetes.New,
			func(c *kubernetes.Config, o OpenOptions) { c.Stderr = o.Stderr },
			map[string]string{"kubeconfig_path": "KUBECONFIG", "namespace": "KUBERNETES_NAMESPACE"}),
		registerNetworked("vault", vault.DefaultConfigIn, vault.New,
			func(c *vault.Config, o OpenOptions) { c.OneShot, c.Logger = o.OneShot, o.Logger },
			map[string]string{"address": "VAULT_ADDR", "namespace": "VAULT_NAMESPACE"}),
	}
}

// driver is a provider that is not configured yet.
type driver struct {
	name     string
	defaults func(getenv func(string) string) any // a pointer to its configuration
	open     func(any) (nebula.Provider, error)   // takes such a pointer

	adapt  func(any, OpenOptions) // to the process that opens the store; nil where nothing depends on it
	native map[string]string      // the backend's own variables that the defaults obey, by key
}

func register[C any, P nebula.Provider](name string, defaults func() C, open func(C) (P, error)) driver {
	return driver{
		name:     name,
		defaults: func(func(string) string) any { c := defaults(); return &c },
		open: func(c any) (nebula.Provider, error) {
			p, err := open(*c.(*C))
			if err != nil {
				return nil, err // not p: a nil pointer in an interface is not nil
			}
			return layered(p), nil
		},
	}
}

// registerNetworked is register for a provider that depends on more of the world.
func registerNetworked[C any, P nebula.Provider](name string, defaults func(getenv func(string) string) C, open func(C) (P, error),
	adapt func(*C, OpenOptions), native map[string]string) driver {
	d := register(name, func() C { return defaults(func(string) string { return "" }) }, open)
	d.defaults = func(getenv func(string) string) any { c := defaults(getenv); return &c }
	d.adapt = func(c any, o OpenOptions) { adapt(c.(*C), o) }
	d.native = native
	return d
}

// layered puts retries and limits around a provider that has a policy. One that
// needs no network stays as it is.
func layered(p nebula.Provider) nebula.Provider {
	if _, ok := p.(middleware.Policied); ok {
		return middleware.Stack(p, middleware.Options{})
	}
	return p
}

func driverNames() []string {
	var names []string
	for _, d := range drivers() {
		names = append(names, d.name)
	}
	return names
}
