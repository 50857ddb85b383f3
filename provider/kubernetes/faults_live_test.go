package kubernetes_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/faultproxy"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider/kubernetes"
)

// faulty returns a configuration that leads through a proxy to the server.
func faulty(t *testing.T, s *livetest.KubernetesServer) (kubernetes.Config, *faultproxy.Proxy) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CA)
	proxy := faultproxy.Start(t, faultproxy.Options{Target: s.Address, TargetTLS: &tls.Config{RootCAs: roots}, TLS: true})
	c := liveConfig(t, s, s.Namespace(t))
	c.KubeconfigPath = kubeconfigFor(t, proxy.URL(), proxy.CA(), map[string]any{}, map[string]any{"token": s.AdminToken})
	return c, proxy
}

// kubeconfigFor writes one for a server, with more about cluster and user.
func kubeconfigFor(t testing.TB, server string, ca []byte, cluster, user map[string]any) string {
	t.Helper()
	cluster["server"], cluster["certificate-authority-data"] = server, ca
	text, err := json.Marshal(map[string]any{"current-context": "c",
		"contexts": []any{map[string]any{"name": "c", "context": map[string]any{"cluster": "k", "user": "u"}}},
		"clusters": []any{map[string]any{"name": "k", "cluster": cluster}},
		"users":    []any{map[string]any{"name": "u", "user": user}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A change that was given up arrives after later ones that were acknowledged.
// It does nothing then.
func TestLiveLateChanges(t *testing.T) {
	s := livetest.Kubernetes(t)
	c, proxy := faulty(t, s)
	p := open(t, c)
	name, late := record(t, "x", "late", nil)
	_, later := record(t, "x", "later", nil)
	_, first := record(t, "x", "first", nil)
	store := func(ctx context.Context, e *nebula.Envelope, condition nebula.Precondition) (nebula.Version, error) {
		return p.Store(ctx, name, e, nebula.StoreOptions{Precondition: condition})
	}
	for what, test := range map[string]struct {
		method string
		change func(ctx context.Context, v nebula.Version) error // of the first one, version v; "" if there is none
		absent bool                                              // at first
	}{
		"delete": {http.MethodDelete, func(ctx context.Context, _ nebula.Version) error { return remove(ctx, p, name) }, false},
		"delete on condition": {http.MethodDelete, func(ctx context.Context, v nebula.Version) error {
			_, err := p.Delete(ctx, name, nebula.IfVersion(v))
			return err
		}, false},
		"store on condition": {http.MethodPatch, func(ctx context.Context, v nebula.Version) error {
			_, err := store(ctx, late, nebula.IfVersion(v))
			return err
		}, false},
		"create": {http.MethodPost, func(ctx context.Context, _ nebula.Version) error {
			_, err := store(ctx, late, nebula.IfAbsent())
			return err
		}, true},
	} {
		t.Run(what, func(t *testing.T) {
			if err := remove(t.Context(), p, name); err != nil {
				t.Fatal(err)
			}
			var v nebula.Version
			if !test.absent {
				var err error
				if v, err = store(t.Context(), first, nebula.Precondition{}); err != nil {
					t.Fatal(err)
				}
			}
			defer proxy.Add(faultproxy.Rule{Method: test.method, Times: 1, Fault: faultproxy.Late(0)})()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			wants(t, test.change(ctx, v), nebula.ErrTimeout)
			// Of the same object, and over what it may have become.
			if _, err := store(t.Context(), later, nebula.Precondition{}); err != nil {
				t.Fatal(err)
			}
			if n := proxy.Release(); n != 1 {
				t.Fatalf("%d requests arrive late, want one", n)
			}
			got, err := p.Retrieve(t.Context(), name)
			if err != nil || string(got.Envelope.Bytes()) != string(later.Bytes()) {
				t.Errorf("what was acknowledged is gone: %v", err)
			}
		})
	}
}
