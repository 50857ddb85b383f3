package kubernetes_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/internal/testing/sealed"
)

func uniquePrefix() string { return "p-" + strings.ToLower(rand.Text()) + "-" }

func hostOf(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// applyManifest applies the manifest of docs/providers/kubernetes.md in another
// namespace, and waits until it takes effect. It returns the name of the service
// account.
func applyManifest(t *testing.T, s *livetest.KubernetesServer, namespace string) string {
	t.Helper()
	paths := map[string]string{
		"ServiceAccount": "api/v1/namespaces/" + namespace + "/serviceaccounts",
		"Role":           "apis/rbac.authorization.k8s.io/v1/namespaces/" + namespace + "/roles",
		"RoleBinding":    "apis/rbac.authorization.k8s.io/v1/namespaces/" + namespace + "/rolebindings",
	}
	account := ""
	for _, text := range strings.Split(manifest(t), "\n---\n") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(strings.ReplaceAll(text, "namespace: nebula", "namespace: "+namespace)), &object); err != nil {
			t.Fatal(err)
		}
		kind, _ := object["kind"].(string)
		if paths[kind] == "" {
			t.Fatalf("the manifest has a %q", kind)
		}
		s.API(t, http.MethodPost, paths[kind], object)
		if kind == "ServiceAccount" {
			account, _ = object["metadata"].(map[string]any)["name"].(string)
		}
	}
	token := s.Token(t, namespace, account, time.Hour)
	for range 200 {
		if status, _, err := s.Do(token, http.MethodGet, "api/v1/namespaces/"+namespace+"/secrets", nil); err == nil && status == http.StatusOK {
			return account
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the manifest still has no effect")
	return ""
}

func manifest(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/providers/kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```yaml\n")
	block, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatal("the documentation has no manifest")
	}
	return block
}

// recorder is a transport that records each request on its way to the server, and the
// bytes of the answers.
type recorder struct {
	mu    sync.Mutex
	calls []string
	bytes int64
	inner http.RoundTripper
	fault func(*http.Request) (*http.Response, error) // instead of sending; nil, nil sends
	after func(*http.Request) error                   // when the answer has come
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.calls = append(r.calls, request.Method+" "+request.URL.Path)
	fault, after := r.fault, r.after
	r.mu.Unlock()
	if fault != nil {
		if response, err := fault(request); response != nil || err != nil {
			return response, err
		}
	}
	response, err := r.inner.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if after != nil {
		if lost := after(request); lost != nil {
			response.Body.Close()
			return nil, lost
		}
	}
	response.Body = &counting{response.Body, r}
	return response, nil
}

// set changes the faults.
func (r *recorder) set(fault func(*http.Request) (*http.Response, error), after func(*http.Request) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault, r.after = fault, after
}

type counting struct {
	io.ReadCloser
	r *recorder
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.r.bytes += int64(n)
	return n, err
}

// since returns the calls since it was last called, and the bytes of the answers.
func (r *recorder) since() ([]string, int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls, n := r.calls, r.bytes
	r.calls, r.bytes = nil, 0
	return calls, n
}

func record(t testing.TB, id, value string, tags map[string]string) (nebula.Name, *nebula.Envelope) {
	t.Helper()
	return sealed.Record(t, id, value, tags)
}

// remove deletes without a condition.
func remove(ctx context.Context, p nebula.Provider, name nebula.Name) error {
	_, err := p.Delete(ctx, name, nebula.Precondition{})
	return err
}

// list returns all entries.
func list(ctx context.Context, p nebula.Provider, f nebula.Filter) ([]nebula.Entry, error) {
	pager := p.List(ctx, f)
	defer pager.Close()
	var all []nebula.Entry
	for {
		page, err := pager.NextPage(ctx)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, page...)
	}
}

// wants checks the kind of an error, and that it says all texts.
func wants(t testing.TB, err error, kind nebula.Kind, texts ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("got %v, want %q", err, kind)
		return
	}
	var e *nebula.Error
	if !errors.As(err, &e) {
		t.Errorf("%T is not a *nebula.Error", err)
		return
	}
	for _, text := range texts {
		if !strings.Contains(e.Error()+"\n"+e.Hint, text) {
			t.Errorf("%q (%s) does not say %q", e.Error(), e.Hint, text)
		}
	}
}
