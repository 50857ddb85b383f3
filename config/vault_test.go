package config

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/nebula-credential/nebula"
)

// Vault's own variables are defaults: the file and NEBULA_ variables win.
func TestNativeVariables(t *testing.T) {
	const file = "[storage]\nprovider = \"vault\"\n[stores.work]\nprovider = \"vault\"\n[stores.work.vault]\naddress = \"https://file:8200\"\n"
	native := []string{"VAULT_ADDR=https://native:8200", "VAULT_NAMESPACE=team", "VAULT_TOKEN=canary"}
	for _, test := range []struct {
		text, key, value, source string
		environ                  []string
	}{
		{file, "storage.vault.address", "http://127.0.0.1:8200", "default", nil},
		{file, "storage.vault.address", "http://127.0.0.1:8200", "default", []string{"VAULT_ADDR="}},
		{file, "storage.vault.address", "https://native:8200", "VAULT_ADDR", native},
		{file, "storage.vault.namespace", "team", "VAULT_NAMESPACE", native},
		{file, "stores.work.vault.address", "https://file:8200", "", native},
		{file, "stores.work.vault.namespace", "team", "VAULT_NAMESPACE", native},
		{file + "[storage.vault]\naddress = \"https://file:8200\"\n", "storage.vault.address", "https://file:8200", "", native},
		{file, "storage.vault.address", "https://variable:8200", "NEBULA_STORAGE_VAULT_ADDRESS",
			append([]string{"NEBULA_STORAGE_VAULT_ADDRESS=https://variable:8200"}, native...)},
	} {
		c, err := load(t, test.text, test.environ...)
		if err != nil {
			t.Fatal(err)
		}
		if test.source == "" {
			test.source = c.Path
		}
		if s := setting(t, c, test.key); s.Value != test.value || s.Source != test.source {
			t.Errorf("%v: %s is %v from %s, want %s from %s", test.environ, test.key, s.Value, s.Source, test.value, test.source)
		}
		for _, s := range c.Settings() {
			if s.Value == "canary" {
				t.Errorf("%s shows the token", s.Key)
			}
		}
	}
	_, err := load(t, file, "VAULT_ADDR=ftp://native")
	if !errors.Is(err, nebula.ErrInvalidConfig) || !strings.Contains(err.Error(), "[storage.vault]: address") {
		t.Errorf("got %v", err)
	}
}

// A provider that needs a network tries calls again, and uses the token of the
// environment.
func TestLayers(t *testing.T) {
	var mu sync.Mutex
	tokens, calls := make(map[string]bool), 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		calls++
		tokens[r.Header.Get("X-Vault-Token")] = true
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	c, err := load(t, "[storage]\nprovider = \"vault\"\n[storage.vault.retry]\nbase_delay_ms = 10\nmax_retries = 2\n",
		"VAULT_ADDR="+server.URL, "VAULT_TOKEN=of-the-environment")
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.OpenWithoutKeys(t.Context(), "", OpenOptions{OneShot: true})
	if err == nil {
		_, err = s.Get(t.Context(), "a")
		_ = s.Close()
	}
	if !errors.Is(err, nebula.ErrUnavailable) || calls < 3 || len(tokens) != 1 || !tokens["of-the-environment"] {
		t.Errorf("%v, %d calls with %d tokens", err, calls, len(tokens))
	}
}
