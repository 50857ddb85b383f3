package config

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/kubernetes"
)

// Kubernetes' own variables are defaults: the file and NEBULA_ variables win. A table of
// labels is set as a whole.
func TestKubernetesVariables(t *testing.T) {
	native, given := kubeconfig(t, "https://native.example.com"), kubeconfig(t, "https://given.example.com")
	const file = "[storage]\nprovider = \"kubernetes\"\n[stores.work]\nprovider = \"kubernetes\"\n[stores.work.kubernetes]\nnamespace = \"file\"\n" +
		"[storage.kubernetes.default_labels]\n\"example.com/team\" = \"x\"\n"
	variables := []string{"KUBECONFIG=" + native, "KUBERNETES_NAMESPACE=native"}
	for _, test := range []struct {
		key, value, source string
		environ            []string
	}{
		{"storage.kubernetes.namespace", "default", "default", variables[:1]},
		{"storage.kubernetes.namespace", "native", "KUBERNETES_NAMESPACE", variables},
		{"storage.kubernetes.kubeconfig_path", native, "KUBECONFIG", variables},
		{"stores.work.kubernetes.kubeconfig_path", native, "KUBECONFIG", variables},
		{"stores.work.kubernetes.namespace", "file", "", variables},
		{"storage.kubernetes.namespace", "variable", "NEBULA_STORAGE_KUBERNETES_NAMESPACE", append([]string{"NEBULA_STORAGE_KUBERNETES_NAMESPACE=variable"}, variables...)},
		{"storage.kubernetes.kubeconfig_path", given, "NEBULA_STORAGE_KUBERNETES_KUBECONFIG_PATH",
			append([]string{"NEBULA_STORAGE_KUBERNETES_KUBECONFIG_PATH=" + given}, variables...)},
	} {
		c, err := load(t, file, test.environ...)
		if err != nil {
			t.Fatal(err)
		}
		if test.source == "" {
			test.source = c.Path
		}
		if s := setting(t, c, test.key); s.Value != test.value || s.Source != test.source {
			t.Errorf("%v: %s is %v from %s, want %s from %s", test.environ, test.key, s.Value, s.Source, test.value, test.source)
		}
		labels := c.stores[DefaultStore].sections["kubernetes"].(*kubernetes.Config).DefaultLabels
		if len(labels) != 1 || labels["example.com/team"] != "x" {
			t.Errorf("the default labels are %v", labels)
		}
	}
}

// kubeconfig writes a kubeconfig for a server.
func kubeconfig(t *testing.T, server string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := `{current-context: a, contexts: [{name: a, context: {cluster: b}}], clusters: [{name: b, cluster: {server: "` + server + `"}}]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// One line chooses the provider, and its calls are tried again.
func TestKubernetesLayers(t *testing.T) {
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	c, err := load(t, "[storage]\nprovider = \"kubernetes\"\n[storage.kubernetes.retry]\nbase_delay_ms = 10\nmax_retries = 2\n", "KUBECONFIG="+kubeconfig(t, server.URL))
	if err != nil {
		t.Fatal(err)
	}
	said := new(strings.Builder)
	s, err := c.OpenWithoutKeys(context.Background(), "", OpenOptions{Stderr: said})
	if err == nil {
		_, err = s.Get(t.Context(), "a")
		_ = s.Close()
	}
	if !errors.Is(err, nebula.ErrUnavailable) || calls.Load() < 3 {
		t.Errorf("%v, %d calls", err, calls.Load())
	}
}
