package vault_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// operations returns the operations of a provider on one credential, and its lists.
func operations(ctx context.Context, t *testing.T, p nebula.Provider) map[string]func() error {
	t.Helper()
	name, e := record(t, "x", "v", nil)
	restorer, _ := nebula.As[nebula.Restorer](p)
	purger, _ := nebula.As[nebula.Purger](p)
	historian, _ := nebula.As[nebula.Historian](p)
	store := func(condition nebula.Precondition) func() error {
		return func() error {
			_, err := p.Store(ctx, name, e, nebula.StoreOptions{Precondition: condition})
			return err
		}
	}
	remove := func(condition nebula.Precondition) func() error {
		return func() error { _, err := p.Delete(ctx, name, condition); return err }
	}
	return map[string]func() error{
		"retrieve":            func() error { _, err := p.Retrieve(ctx, name); return err },
		"exists":              func() error { _, err := p.Exists(ctx, name); return err },
		"list":                func() error { return pages(ctx, p, nebula.Filter{}) },
		"list by tag":         func() error { return pages(ctx, p, nebula.Filter{Tags: map[string]string{"a": "b"}}) },
		"store":               store(nebula.Precondition{}),
		"store if absent":     store(nebula.IfAbsent()),
		"store over":          store(nebula.IfVersion("1-2abc")),
		"delete":              remove(nebula.Precondition{}),
		"delete on condition": remove(nebula.IfVersion("1-2abc")),
		"restore":             func() error { return restorer.Restore(ctx, name) },
		"purge":               func() error { _, err := purger.Purge(ctx, name); return err },
		"history":             func() error { _, err := historian.History(ctx, name); return err },
	}
}

// If something else answers in the place of Vault, it is not taken for Vault,
// whatever its status: the error names the address, and no call is repeated.
func TestForeignAnswers(t *testing.T) {
	const page = "<!DOCTYPE html><html><body>Gateway</body></html>"
	for what, answer := range map[string]struct {
		status      int
		contentType string
		body        string
	}{
		"the user interface's 404": {404, "text/plain; charset=utf-8", "404 page not found\n"},
		"a gateway's 404":          {404, "text/html", page},
		"an empty 404":             {404, "text/html", ""},
		"a 404 of another API":     {404, "application/json", `{"message":"no Route matched with those values"}`},
		"a page":                   {200, "text/html", page},
		"another API":              {200, "application/json", `{"status":"ok"}`},
		"a list":                   {200, "application/json", `[]`},
		"nothing":                  {200, "text/html", ""},
		"a 202":                    {202, "application/json", `{"data":{}}`},
		"a login page's 401":       {401, "text/html", page},
		"a firewall's 403":         {403, "text/html", page},
		"a 403 of another API":     {403, "application/json", `{"message":"Forbidden"}`},
		"a gateway's 400":          {400, "text/html", page},
		"a gateway's 405":          {405, "text/html", page},
	} {
		t.Run(what, func(t *testing.T) {
			var sent atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				sent.Add(1)
				w.Header().Set("Content-Type", answer.contentType)
				w.WriteHeader(answer.status)
				fmt.Fprint(w, answer.body)
			}))
			defer server.Close()
			c := hostileConfig(server.URL + "/ui")
			c.Retry.MaxRetries = 3
			p := open(t, c, provider.OneShot())
			for op, call := range operations(t.Context(), t, p) {
				sent.Store(0)
				err := call()
				wants(t, err, nebula.ErrInvalidConfig, server.URL+"/ui", "address")
				if err == nil || sent.Load() > 2 { // the first list also asks for the version
					t.Errorf("%s: %v, %d calls", op, err, sent.Load())
				}
			}
		})
	}
}

// If something other than Vault confirms a deletion, nothing was deleted.
func TestForeignConfirmation(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			deleted := ""
			if strings.HasSuffix(r.URL.Path, "/deleted") {
				deleted = "2026-01-02T03:04:06Z"
			}
			fmt.Fprintf(w, `{"data":{"current_version":1,"versions":{"1":{"created_time":"2026-01-02T03:04:05Z","deletion_time":%q}}}}`, deleted)
			return
		}
		fmt.Fprint(w, "<html>done</html>")
	}))
	defer server.Close()
	p := open(t, hostileConfig(server.URL), provider.OneShot())
	name, _ := record(t, "x", "", nil)
	deleted, _ := record(t, "deleted", "", nil)
	_, err := p.Delete(t.Context(), name, nebula.Precondition{})
	wants(t, err, nebula.ErrInvalidConfig, "address")
	purger, _ := nebula.As[nebula.Purger](p)
	_, err = purger.Purge(t.Context(), name)
	wants(t, err, nebula.ErrInvalidConfig, "address")
	restorer, _ := nebula.As[nebula.Restorer](p)
	wants(t, restorer.Restore(t.Context(), deleted), nebula.ErrInvalidConfig, "address")
}

// If a load balancer says that the server cannot answer for now, the provider
// believes it.
func TestGatewayUnavailable(t *testing.T) {
	for _, status := range []int{429, 502, 503, 504} {
		p, name := hostile(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			fmt.Fprint(w, "<html>try later</html>")
		})
		refuses(t, p, name, nebula.ErrUnavailable)
	}
}

// The error names an address with the wrong scheme at once.
func TestWrongScheme(t *testing.T) {
	var served atomic.Int32
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) })
	plain, secure := httptest.NewServer(handler), httptest.NewUnstartedServer(handler)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer plain.Close()
	defer secure.Close()
	for address, says := range map[string]string{
		"https" + strings.TrimPrefix(plain.URL, "http"):  "speaks http, not https",
		"http" + strings.TrimPrefix(secure.URL, "https"): "speaks https; set address to " + secure.URL,
	} {
		c := hostileConfig(address)
		c.Retry.MaxRetries = 5
		metrics := new(provider.StorageMetrics)
		p := open(t, c, provider.OneShot(), provider.WithMetrics(metrics))
		name, _ := record(t, "x", "", nil)
		_, err := p.Retrieve(t.Context(), name)
		wants(t, err, nebula.ErrInvalidConfig, says)
		if metrics.RetryCount() != 0 || served.Load() != 0 {
			t.Errorf("%s: %d retries", address, metrics.RetryCount())
		}
	}
}
