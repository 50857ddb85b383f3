//go:build linux || darwin

package bench

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/nebula-credential/nebula/bench/paired"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// BenchmarkCommandGetByTransit compares nebula get from files with a key of a real Vault's
// transit engine to the same with a key file. It reports the calls to Vault of one get.
func BenchmarkCommandGetByTransit(b *testing.B) {
	s := livetest.Vault(b)
	byFile := newCommand(b)
	byFile.run(b, value(), byFile.nebula, "put", "x")
	env := append(slices.Clone(byFile.env), "NEBULA_KEY_AGENT=false", "VAULT_TOKEN="+s.RootToken,
		"NEBULA_KEY_VAULT_TRANSIT_KEY=nebula", "NEBULA_KEY_VAULT_TRANSIT_MOUNT_PATH="+s.Transit(b, "nebula"))
	byTransit := byFile
	byTransit.env = append(slices.Clone(env), "VAULT_ADDR="+s.Address)
	byTransit.run(b, "", byTransit.nebula, "key", "add", "--vault-transit", "nebula")
	// Without its key file, each get has to call Vault.
	byTransit.env = append(byTransit.env, "XDG_CONFIG_HOME="+b.TempDir())

	counted := byTransit
	address, calls := countCalls(b, s.Address)
	counted.env = append(slices.Clone(byTransit.env), "VAULT_ADDR="+address)
	counted.run(b, "", counted.nebula, "get", "x")

	paired.Run(b, 1,
		func(int) { byFile.run(b, "", byFile.nebula, "get", "x") },
		func(int) { byTransit.run(b, "", byTransit.nebula, "get", "x") })
	byTransit.report(b, byTransit.nebula, "get", "x")
	b.ReportMetric(float64(calls.Load()), "calls/op")
}

// countCalls starts a proxy to a server that counts the calls.
func countCalls(b *testing.B, target string) (address string, calls *atomic.Int64) {
	b.Helper()
	u, err := url.Parse(target)
	check(b, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }}
	calls = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		proxy.ServeHTTP(w, r)
	}))
	b.Cleanup(server.Close)
	return server.URL, calls
}
