package kubernetes_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// Every identity that a kubeconfig can describe gets in: by a certificate, by a token
// file, by a plugin's token or certificate, or by impersonation.
func TestLiveIdentities(t *testing.T) {
	s := livetest.Kubernetes(t)
	if s.AdminCertificate == "" {
		t.Skip("an existing server has no certificate to offer")
	}
	namespace := s.Namespace(t)
	account := applyManifest(t, s, namespace)
	token := s.Token(t, namespace, account, time.Hour)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	certificate, key := read(t, s.AdminCertificate), read(t, s.AdminKey)
	for what, user := range map[string]map[string]any{
		"certificate":          {"client-certificate": s.AdminCertificate, "client-key": s.AdminKey},
		"token file":           {"tokenFile": file},
		"plugin's token":       {"exec": plugin(t, map[string]any{"token": token})},
		"plugin's certificate": {"exec": plugin(t, map[string]any{"clientCertificateData": certificate, "clientKeyData": key})},
		"acting as":            {"token": s.AdminToken, "as": livetest.KubernetesUser(namespace, account)},
	} {
		c := liveConfig(t, s, namespace)
		c.KubeconfigPath = s.Kubeconfig(t, user, "another")
		p := open(t, c)
		name, e := record(t, "x", what, nil)
		if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if got, err := p.Retrieve(t.Context(), name); err != nil || string(got.Envelope.Bytes()) != string(e.Bytes()) {
			t.Errorf("%s: %v", what, err)
		}
	}
	c := liveConfig(t, s, s.Namespace(t))
	c.KubeconfigPath = s.Kubeconfig(t, map[string]any{"token": s.AdminToken, "as": livetest.KubernetesUser(namespace, account)}, "")
	name, _ := record(t, "x", "", nil)
	_, err := open(t, c).Retrieve(t.Context(), name)
	wants(t, err, nebula.ErrPermissionDenied, "verb get")
}

// If a token is revoked during use, it is refused. A pod goes on with the token that
// replaces it.
func TestLiveTokenRotation(t *testing.T) {
	t.Parallel() // it mostly waits
	s := livetest.Kubernetes(t)
	namespace := s.Namespace(t)
	account := applyManifest(t, s, namespace)
	c, exchange := podConfig(t, s, namespace)
	exchange(s.Token(t, namespace, account, time.Hour))
	p := open(t, c)
	name, e := record(t, "x", "v", nil)
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	// Its tokens end with the account.
	accounts := "api/v1/namespaces/" + namespace + "/serviceaccounts"
	s.API(t, http.MethodDelete, accounts+"/"+account, nil)
	refused := false
	for range 200 {
		if _, err := p.Retrieve(t.Context(), name); err != nil {
			wants(t, err, nebula.ErrUnauthenticated, "the pod's service account")
			refused = true
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !refused {
		t.Error("the token of a deleted account still works")
	}
	s.API(t, http.MethodPost, accounts, map[string]any{"metadata": map[string]any{"name": account}})
	exchange(s.Token(t, namespace, account, time.Hour))
	if _, err := p.Retrieve(t.Context(), name); err != nil {
		t.Errorf("with a new token: %v", err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// plugin returns a plugin that prints an ExecCredential: this very binary, see
// TestMain.
func plugin(t *testing.T, status map[string]any) map[string]any {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	printed := filepath.Join(dir, "printed")
	if err := os.WriteFile(printed, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]any{"apiVersion": "client.authentication.k8s.io/v1", "command": program, "interactiveMode": "Never",
		"env": []any{map[string]any{"name": "NEBULA_TEST_PLUGIN", "value": filepath.Join(dir, "log")},
			map[string]any{"name": "NEBULA_TEST_PRINTED", "value": printed}}}
}
