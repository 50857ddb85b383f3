package kubernetes_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/kubernetes"
	"github.com/nebula-credential/nebula/providertest"
)

// liveConfig returns a configuration for the server's administrator, in a namespace.
func liveConfig(t testing.TB, s *livetest.KubernetesServer, namespace string) kubernetes.Config {
	t.Helper()
	return as(t, s, namespace, s.AdminToken)
}

// as is liveConfig for the user with that token.
func as(t testing.TB, s *livetest.KubernetesServer, namespace, token string) kubernetes.Config {
	t.Helper()
	c := kubernetes.DefaultConfigIn(func(string) string { return "" })
	c.Namespace = namespace
	c.KubeconfigPath = s.Kubeconfig(t, map[string]any{"token": token}, "")
	return c
}

// open returns a connected provider.
func open(t testing.TB, c kubernetes.Config, options ...provider.Option) nebula.Provider {
	t.Helper()
	p, err := kubernetes.New(c, options...)
	if err != nil {
		t.Fatal(err)
	}
	life, _ := nebula.As[nebula.Connector](p)
	if err := life.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = life.Close() })
	return p
}

// liveProviders remembers the configurations, for tests that open a backend again.
type liveProviders struct {
	configs map[nebula.Provider]kubernetes.Config
}

func (l *liveProviders) open(t *testing.T, c kubernetes.Config, options ...provider.Option) nebula.Provider {
	t.Helper()
	p, err := kubernetes.New(c, options...)
	if err != nil {
		t.Fatal(err)
	}
	l.configs[p] = c
	return p
}

// few is the number of records in a rule if the same rules run elsewhere with more.
const few = 60

// liveHarness runs over stores that differ in their prefix.
func liveHarness(t *testing.T, s *livetest.KubernetesServer, c kubernetes.Config, maxStores int) providertest.Harness {
	l := &liveProviders{configs: make(map[nebula.Provider]kubernetes.Config)}
	return providertest.Harness{
		New: func(t *testing.T, options ...provider.Option) nebula.Provider {
			own := c
			own.SecretPrefix = uniquePrefix()
			return l.open(t, own, options...)
		},
		Reopen: func(t *testing.T, p nebula.Provider) nebula.Provider { return l.open(t, l.configs[p]) },
		Corrupt: func(t *testing.T, p nebula.Provider, name nebula.Name, raw []byte) {
			c := l.configs[p]
			s.API(t, http.MethodPatch, "api/v1/namespaces/"+c.Namespace+"/secrets/"+kubernetes.SecretName(c, name),
				map[string]any{"data": map[string]any{"record": raw}})
		},
		Abilities:     []providertest.Ability{providertest.Connector, providertest.Describer, providertest.BatchRetriever, providertest.Notifier, providertest.Identifier, providertest.Fitter, providertest.Checker},
		MaxRecordSize: 1 << 20,
		MaxStores:     maxStores,
	}
}

func TestLiveConformanceAdmin(t *testing.T) {
	t.Parallel() // with the tests that wait
	s := livetest.Kubernetes(t)
	providertest.Run(t, liveHarness(t, s, liveConfig(t, s, s.Namespace(t)), 0))
}

// A service account has the rights of the documentation.
func TestLiveConformanceRole(t *testing.T) {
	t.Parallel() // with the tests that wait
	s := livetest.Kubernetes(t)
	namespace := s.Namespace(t)
	account := applyManifest(t, s, namespace)
	token := s.Token(t, namespace, account, time.Hour)
	providertest.Run(t, liveHarness(t, s, as(t, s, namespace, token), few))
}

// As in a pod, the token is in a file, comes from the TokenRequest API, and is
// exchanged all the time.
func TestLiveConformancePod(t *testing.T) {
	t.Parallel() // with the tests that wait
	s := livetest.Kubernetes(t)
	namespace := s.Namespace(t)
	account := applyManifest(t, s, namespace)
	c, exchange := podConfig(t, s, namespace)
	exchange(s.Token(t, namespace, account, time.Hour))
	h := liveHarness(t, s, c, few)
	inner := h.New
	h.New = func(t *testing.T, options ...provider.Option) nebula.Provider {
		exchange(s.Token(t, namespace, account, time.Hour))
		return inner(t, options...)
	}
	providertest.Run(t, h)
}

// podConfig returns the configuration of a pod, and a function that exchanges its
// token.
func podConfig(t *testing.T, s *livetest.KubernetesServer, namespace string) (c kubernetes.Config, exchange func(token string)) {
	t.Helper()
	dir := t.TempDir()
	c = kubernetes.DefaultConfigIn(func(string) string { return "" })
	c.Namespace, c.ServiceAccount, c.ServiceHost = namespace, dir, hostOf(t, s.Address)
	write := func(name, text string) {
		// As with kubelet, the file is never there in part.
		draft := filepath.Join(dir, "..draft")
		if err := os.WriteFile(draft, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(draft, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	write("ca.crt", string(s.CA))
	return c, func(token string) { write("token", token+"\n") }
}
