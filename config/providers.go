package config

import (
	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/aws"
	"github.com/nebula-credential/nebula/provider/azure"
	"github.com/nebula-credential/nebula/provider/kubernetes"
	"github.com/nebula-credential/nebula/provider/local"
	"github.com/nebula-credential/nebula/provider/memory"
	"github.com/nebula-credential/nebula/provider/vault"
)

// Providers returns the providers that a configuration can name, unless [Source]
// has others. A new provider is one line here: its name is its section,
// [storage.NAME], and the toml tags of its Config are the keys of the section.
func Providers() []Registration {
	return []Registration{
		Register("local", local.DefaultConfigIn, local.New),
		Register("memory", func(func(string) string) memory.Config { return memory.DefaultConfig() }, memory.New),
		Register("aws", aws.DefaultConfigIn, aws.New).Obeys(map[string]string{"region": "AWS_REGION"}),
		Register("azure", azure.DefaultConfigIn, azure.New).Obeys(map[string]string{
			"vault_url": "AZURE_KEYVAULT_URL", "credential.tenant_id": "AZURE_TENANT_ID",
			"credential.client_id": "AZURE_CLIENT_ID", "credential.federated_token_file": "AZURE_FEDERATED_TOKEN_FILE"}),
		Register("kubernetes", kubernetes.DefaultConfigIn, kubernetes.New).Obeys(map[string]string{
			"kubeconfig_path": "KUBECONFIG", "namespace": "KUBERNETES_NAMESPACE"}),
		Register("vault", vault.DefaultConfigIn, vault.New).Obeys(map[string]string{
			"address": "VAULT_ADDR", "namespace": "VAULT_NAMESPACE"}),
	}
}

// Registration is a provider that a configuration can name.
type Registration struct {
	name     string
	defaults func(getenv func(string) string) any // a pointer to its configuration
	validate func(any) error                      // its argument is such a pointer
	open     func(any, []provider.Option) (nebula.Provider, error)
	obeys    map[string]string
}

// Register makes a provider known by a name. Its configuration is a struct whose
// toml tags are the keys of its section; defaults gets the environment.
func Register[C interface{ Validate() error }](name string, defaults func(getenv func(variable string) string) C,
	open func(C, ...provider.Option) (nebula.Provider, error)) Registration {
	return Registration{
		name:     name,
		defaults: func(getenv func(string) string) any { c := defaults(getenv); return &c },
		validate: func(c any) error { return (*c.(*C)).Validate() },
		open:     func(c any, o []provider.Option) (nebula.Provider, error) { return open(*c.(*C), o...) },
	}
}

// Obeys names the variables of the backend's own tools that the defaults obey,
// by key.
func (r Registration) Obeys(variables map[string]string) Registration {
	r.obeys = variables
	return r
}

// directoried is the configuration of a provider that keeps files on this
// machine.
type directoried interface {
	// Directory returns the directory that holds the records.
	Directory() string
}

// registrations are the providers that a configuration can name.
type registrations []Registration

func (all registrations) names() []string {
	var names []string
	for _, r := range all {
		names = append(names, r.name)
	}
	return names
}

// find returns the provider of that name.
func (all registrations) find(name string) (Registration, error) {
	for _, r := range all {
		if r.name == name {
			return r, nil
		}
	}
	return Registration{}, &nebula.Error{Kind: nebula.ErrInternal, Message: "the provider " + name + " is not registered"}
}
