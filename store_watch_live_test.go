package nebula_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider/aws"
	"github.com/nebula-credential/nebula/provider/azure"
	"github.com/nebula-credential/nebula/provider/kubernetes"
	"github.com/nebula-credential/nebula/provider/local"
	"github.com/nebula-credential/nebula/provider/vault"
)

// On every backend a change by another process is seen within a second if the backend
// reports it, otherwise within the time between two looks and two seconds. After the
// loop has ended and the store is closed, nothing runs any more.
func TestLiveWatch(t *testing.T) {
	const told, looked = time.Minute, time.Second // times between two looks
	backends := map[string]struct {
		open     func(*testing.T) (nebula.Provider, error)
		interval time.Duration
		within   time.Duration
	}{
		"local":      {watchLocal(t), told, time.Second},
		"kubernetes": {watchKubernetes(t), told, time.Second},
		"aws":        {watchAWS(t), looked, looked + 2*time.Second},
		"azure":      {watchAzure(t), looked, looked + 2*time.Second},
		"vault":      {watchVault(t), looked, looked + 2*time.Second},
	}
	for _, name := range slices.Sorted(maps.Keys(backends)) {
		t.Run(name, func(t *testing.T) {
			b := backends[name]
			before := goleak.IgnoreCurrent()
			key := newKeyFile(t)
			store := func() *nebula.Store {
				p, err := b.open(t)
				if err != nil {
					t.Fatal(err)
				}
				s, err := nebula.Open(t.Context(), p, nebula.Options{Keys: []nebula.Key{key}})
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			other := store()
			if _, err := other.Init(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			put(t, other, "a", "1", nebula.PutOptions{})
			ours := store()
			checkWatched(t, other, ours.Watch(nebula.WatchOptions{Interval: b.interval}, "a", "b"), b.within)
			for _, s := range []*nebula.Store{ours, other} {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
			if err := goleak.Find(before); err != nil {
				t.Error(err)
			}
		})
	}
}

// checkWatched makes changes and waits until they are seen.
func checkWatched(t *testing.T, other *nebula.Store, w *nebula.Watcher, within time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	seen, ended := make(chan string, 10), make(chan struct{})
	go func() {
		defer close(ended)
		for c := range w.Changes(ctx) {
			seen <- string(c.ID) + "=" + string(c.Credential.Secret.Reveal()) + string(nebula.KindOf(c.Err))
		}
	}()
	wants := func(within time.Duration, want string) {
		t.Helper()
		begun := time.Now()
		select {
		case got := <-seen:
			t.Logf("%s after %v", got, time.Since(begun).Round(time.Millisecond))
			if got != want {
				t.Errorf("saw %s, want %s", got, want)
			}
		case <-time.After(within):
			t.Errorf("%s was not seen within %v", want, within)
		}
	}
	const start = 10 * time.Second
	wants(start, "a=1")
	wants(start, "b=not_found")
	time.Sleep(time.Second) // until the backend reports changes
	put(t, other, "a", "2", nebula.PutOptions{})
	wants(within, "a=2")
	put(t, other, "b", "1", nebula.PutOptions{})
	wants(within, "b=1")
	if _, err := other.Delete(t.Context(), "a", nebula.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	wants(within, "a=not_found")
	cancel()
	<-ended
}

func watchLocal(t *testing.T) func(*testing.T) (nebula.Provider, error) {
	c := local.DefaultConfig()
	c.BasePath = t.TempDir()
	return func(*testing.T) (nebula.Provider, error) { return local.New(c) }
}

func watchKubernetes(t *testing.T) func(*testing.T) (nebula.Provider, error) {
	s := livetest.Kubernetes(t)
	c := kubernetes.DefaultConfigIn(func(string) string { return "" })
	c.Namespace, c.KubeconfigPath = s.Namespace(t), s.Kubeconfig(t, map[string]any{"token": s.AdminToken}, "")
	return func(*testing.T) (nebula.Provider, error) { return kubernetes.New(c) }
}

func watchVault(t *testing.T) func(*testing.T) (nebula.Provider, error) {
	s := livetest.Vault(t)
	c := vault.DefaultConfigIn(func(string) string { return "" })
	c.Address, c.CACert, c.MountPath = s.Address, s.CAFile, s.Mount(t, 2)
	c.Auth.Token = nebula.NewSecret([]byte(s.RootToken))
	return func(*testing.T) (nebula.Provider, error) { return vault.New(c) }
}

func watchAWS(t *testing.T) func(*testing.T) (nebula.Provider, error) {
	s := livetest.AWS(t)
	t.Setenv("AWS_ACCESS_KEY_ID", s.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s.SecretAccessKey)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	c := aws.DefaultConfig()
	c.Region, c.EndpointURL = s.Region(t), s.Endpoint
	return func(*testing.T) (nebula.Provider, error) { return aws.New(c) }
}

func watchAzure(t *testing.T) func(*testing.T) (nebula.Provider, error) {
	v := livetest.NewAzure(t, azureserver.Options{})
	v.SetDelays(azureserver.Delays{Delete: 100 * time.Millisecond})
	c := azure.DefaultConfigIn(func(string) string { return "" })
	c.VaultURL, c.Transport = v.URL(), v.Server.Transport()
	c.Credential = azure.Credential{Type: "service_principal", TenantID: azureserver.TenantID,
		ClientID: azureserver.ClientID, ClientSecret: nebula.NewSecret([]byte(v.Server.ClientSecret()))}
	return func(*testing.T) (nebula.Provider, error) { return azure.New(c) }
}
