package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// The whole command with the keys "nebula" and "second" of a real Vault's transit
// engine, at $MOUNT. The token may do what docs/keys/vault-transit.md says, with any
// key.
func TestLiveScriptsTransit(t *testing.T) {
	s := livetest.Vault(t)
	runScripts(t, filepath.Join("testdata", "live", "transit"), func(env *testscript.Env) {
		v := &scriptTransit{t: t, server: s, mount: s.Transit(t, "nebula", "second")}
		v.policy = s.Policy(t, transitPolicy(v.mount))
		env.Values[transitKey{}] = v
		env.Setenv("MOUNT", v.mount)
		env.Setenv("KV", s.Mount(t, 2))
		env.Setenv("ROOT", s.RootToken)
		env.Setenv("VAULT_ADDR", v.listen(t))
		env.Setenv("VAULT_TOKEN", s.Token(t, map[string]any{"policies": []string{v.policy}}))
	})
}

// transitPolicy is a policy for all keys of an engine.
func transitPolicy(mount string, without ...string) (rules string) {
	for what, capability := range map[string]string{"decrypt": "update", "encrypt": "update", "keys": "read"} {
		if !slices.Contains(without, what) {
			rules += fmt.Sprintf("path \"%s/%s/*\" { capabilities = [%q] }\n", mount, what, capability)
		}
	}
	return rules
}

type transitKey struct{}

// scriptTransit is what a script knows of the server.
type scriptTransit struct {
	t             *testing.T
	server        *livetest.VaultServer
	mount, policy string

	mu    sync.Mutex
	calls []string // of the command to the engine
}

// listen starts a proxy that records the calls, and returns its address.
func (v *scriptTransit) listen(t *testing.T) string {
	target, err := url.Parse(v.server.Address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{DisableKeepAlives: true},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path, ok := strings.CutPrefix(r.URL.Path, "/v1/"+v.mount+"/"); ok {
			v.mu.Lock()
			v.calls = append(v.calls, path)
			v.mu.Unlock()
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// transit changes the server, or compares the calls to the engine since the last time:
//
//	transit write PATH [JSON]
//	transit delete KEY
//	transit deny [decrypt|encrypt|keys]…
//	transit called [PATH]…
//	transit forget
func scriptTransitCommand(ts *testscript.TestScript, _ bool, args []string) {
	v, ok := ts.Value(transitKey{}).(*scriptTransit)
	if !ok {
		ts.Fatalf("there is no Vault here")
	}
	switch args[0] {
	case "write":
		var body map[string]any
		if len(args) > 2 {
			ts.Check(json.Unmarshal([]byte(args[2]), &body))
		}
		v.server.API(v.t, http.MethodPost, v.mount+"/"+args[1], body)
	case "delete":
		v.server.API(v.t, http.MethodPost, v.mount+"/keys/"+args[1]+"/config", map[string]any{"deletion_allowed": true})
		v.server.API(v.t, http.MethodDelete, v.mount+"/keys/"+args[1], nil)
	case "deny":
		v.server.API(v.t, http.MethodPut, "sys/policies/acl/"+v.policy, map[string]any{"policy": transitPolicy(v.mount, args[1:]...)})
	case "called", "forget":
		v.mu.Lock()
		got := v.calls
		v.calls = nil
		v.mu.Unlock()
		if args[0] == "called" && !slices.Equal(got, args[1:]) {
			ts.Fatalf("called were %v", got)
		}
	default:
		ts.Fatalf("transit %s is not known", args[0])
	}
}
