package service_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula/internal/testing/contract"
	"github.com/nebula-credential/nebula/service"
)

// With a good token, a method that a path does not have is answered with 405 and the
// methods that it has.
func TestMethods(t *testing.T) {
	r, store := memory(t)
	store.Set("a", "v")
	methods := []string{"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY", "PROPFIND", "LINK", "get"}
	for path, allow := range map[string]string{
		"/v1/credentials": "GET", at("a"): "GET, HEAD, PUT, DELETE", at("a") + "/tags": "PATCH", at("a") + "/restore": "POST", at("a") + "/purge": "POST", at("a") + "/versions": "GET",
		"/v1/batch-get": "POST", "/v1/store": "GET", "/metrics": "GET", "/healthz": "GET", "/readyz": "GET", "/openapi.yaml": "GET",
	} {
		declared := strings.Split(allow, ", ")
		for _, method := range methods {
			if slices.Contains(declared, method) {
				continue
			}
			got := r.want(ask{method: method, path: path}, 405, "method_not_allowed")
			if got.Header.Get("Allow") != allow {
				t.Errorf("%s %s: Allow is %q", method, path, got.Header.Get("Allow"))
			}
			if strings.HasPrefix(path, "/v1/") {
				r.want(ask{method: method, path: path, token: "-"}, 401, "invalid_token")
			}
		}
	}
	if store.Value("a") != "v" {
		t.Error("the value was changed")
	}
}

// Each parameter must be known, and given once.
func TestQueries(t *testing.T) {
	r, store := memory(t)
	store.Set("a", "v")
	for _, asks := range operations("a") {
		for _, a := range asks {
			a.path += "?unknown=1"
			r.want(a, 400, "usage")
		}
	}
	for _, path := range []string{at("a") + "?version=1&version=1", at("a") + "?Version=1", at("a") + "?access_token=x", "/v1/store?x", "/healthz?x=1", "/readyz?x=1", "/openapi.yaml?x=1", at("a") + "?version=%zz"} {
		r.want(ask{method: "GET", path: path}, 400, "usage")
	}
	r.want(ask{method: "HEAD", path: at("a") + "?version=1"}, 400, "")
}

// The service has the page and its parts, and nothing beside them.
func TestPageAnswers(t *testing.T) {
	r, _ := memory(t)
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
	for path, contentType := range map[string]string{
		"/": "text/html; charset=utf-8", "/page/app.js": "text/javascript; charset=utf-8", "/page/page.css": "text/css; charset=utf-8", "/page/icon.svg": "image/svg+xml",
	} {
		ranged := map[string]string{"Range": "bytes=0-3"}
		got := r.want(ask{method: "GET", path: path, token: "-", header: ranged}, 200, "")
		head := r.want(ask{method: "HEAD", path: path, token: "-", header: ranged}, 200, "")
		for _, h := range []http.Header{got.Header, head.Header} {
			if h.Get("Content-Type") != contentType || len(h.Values("Content-Security-Policy")) != 1 || h.Get("Content-Security-Policy") != policy {
				t.Errorf("%s: %v", path, h)
			}
			for name, want := range map[string]string{
				"Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
			} {
				if h.Get(name) != want {
					t.Errorf("%s: %s is %q", path, name, h.Get(name))
				}
			}
		}
		if len(got.body) < 100 || head.body != "" || head.ContentLength != int64(len(got.body)) {
			t.Errorf("%s: %d bytes, and %d for HEAD", path, len(got.body), head.ContentLength)
		}
		for _, method := range []string{"POST", "OPTIONS", "QUERY", "TRACE"} {
			if allow := r.want(ask{method: method, path: path, token: "-"}, 405, "method_not_allowed").Header.Get("Allow"); allow != "GET, HEAD" {
				t.Errorf("%s %s: Allow is %q", method, path, allow)
			}
		}
		r.want(ask{method: "GET", path: path + "?x=1", token: "-"}, 400, "usage")
	}
	for path, status := range map[string]int{
		"/page/index.html": 404, "/page/none.js": 404, "/page/a/b": 404, "/page": 401, "/page/": 400, "/page/../page.go": 400, "/page//app.js": 400, "/page/%2e%2e/page.go": 400, "/other": 401,
	} {
		r.want(ask{method: "GET", path: path, token: "-"}, status, "")
	}
}

// The contract has exactly the paths and methods of the service.
func TestContractHasTheRoutes(t *testing.T) {
	document, err := contract.New()
	if err != nil {
		t.Fatal(err)
	}
	r, _ := memory(t)
	r.client = r.server.Client()
	for pattern, methods := range document.Methods() {
		path := strings.NewReplacer("{id}", "a", "{file}", "app.js").Replace(pattern)
		allowed := strings.Split(r.want(ask{method: "BREW", path: path}, 405, "method_not_allowed").Header.Get("Allow"), ", ")
		slices.Sort(allowed)
		if !slices.Equal(allowed, methods) {
			t.Errorf("%s has %v, and in the contract %v", pattern, allowed, methods)
		}
	}
	for _, pattern := range service.Patterns() {
		if _, ok := document.Methods()[pattern]; !ok {
			t.Errorf("the contract has no %s", pattern)
		}
	}
}
