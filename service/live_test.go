package service_test

import (
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider/aws"
	"github.com/nebula-credential/nebula/provider/azure"
	"github.com/nebula-credential/nebula/provider/kubernetes"
	"github.com/nebula-credential/nebula/provider/vault"
)

func TestLiveVault(t *testing.T) {
	s := livetest.Vault(t)
	c := vault.DefaultConfigIn(func(string) string { return "" })
	c.Address, c.CACert, c.MountPath = s.Address, s.CAFile, s.Mount(t, 2)
	c.Auth.Token = nebula.NewSecret([]byte(s.RootToken))
	runSuite(t, func(t *testing.T) *nebula.Store {
		p, err := vault.New(c)
		return openStore(t, p, err)
	})
}

func TestLiveAWS(t *testing.T) {
	s := livetest.AWS(t)
	t.Setenv("AWS_ACCESS_KEY_ID", s.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s.SecretAccessKey)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	c := aws.DefaultConfig()
	c.Region, c.EndpointURL = s.Region(t), s.Endpoint
	runSuite(t, func(t *testing.T) *nebula.Store {
		p, err := aws.New(c)
		return openStore(t, p, err)
	})
}

func TestLiveAzure(t *testing.T) {
	v := livetest.NewAzure(t, azureserver.Options{})
	v.SetDelays(azureserver.Delays{Delete: 100 * time.Millisecond})
	c := azure.DefaultConfigIn(func(string) string { return "" })
	c.VaultURL, c.Transport = v.URL(), v.Server.Transport()
	c.Credential = azure.Credential{Type: "service_principal", TenantID: azureserver.TenantID,
		ClientID: azureserver.ClientID, ClientSecret: nebula.NewSecret([]byte(v.Server.ClientSecret()))}
	runSuite(t, func(t *testing.T) *nebula.Store {
		p, err := azure.New(c)
		return openStore(t, p, err)
	})
}

func TestLiveKubernetes(t *testing.T) {
	s := livetest.Kubernetes(t)
	c := kubernetes.DefaultConfigIn(func(string) string { return "" })
	c.Namespace, c.KubeconfigPath = s.Namespace(t), s.Kubeconfig(t, map[string]any{"token": s.AdminToken}, "")
	runSuite(t, func(t *testing.T) *nebula.Store {
		p, err := kubernetes.New(c)
		return openStore(t, p, err)
	})
}

// Two services over one backend, with writers on both.
func TestLiveHistoriesVault(t *testing.T) {
	s := livetest.Vault(t)
	c := vault.DefaultConfigIn(func(string) string { return "" })
	c.Address, c.CACert, c.MountPath = s.Address, s.CAFile, s.Mount(t, 2)
	c.Auth.Token = nebula.NewSecret([]byte(s.RootToken))
	contend(t, func() (nebula.Provider, error) { return vault.New(c) }, 2, 6, 6)
}
