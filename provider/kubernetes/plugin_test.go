package kubernetes

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// The test binary is the plugin of these tests: it prints what the variable says, and
// logs that it ran.
func TestMain(m *testing.M) {
	if log := os.Getenv("NEBULA_TEST_PLUGIN"); log != "" {
		pretendPlugin(log)
	}
	goleak.VerifyTestMain(m)
}

func pretendPlugin(log string) {
	file, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		os.Exit(3)
	}
	_, _ = fmt.Fprintln(file, os.Getenv("KUBERNETES_EXEC_INFO"))
	_ = file.Close()
	if os.Getenv("NEBULA_PASSPHRASE") != "" {
		os.Exit(7) // it must not see what opens the store
	}
	var input [1]byte
	if n, _ := os.Stdin.Read(input[:]); n > 0 {
		os.Exit(4) // it must not see the standard input
	}
	printed, err := os.ReadFile(os.Getenv("NEBULA_TEST_PRINTED"))
	if err != nil {
		os.Exit(5)
	}
	if string(printed) == "waits" {
		time.Sleep(10 * time.Minute)
	}
	if string(printed) == "endless" {
		for {
			if _, err := fmt.Print(strings.Repeat("x", 1<<16)); err != nil {
				os.Exit(6)
			}
		}
	}
	fmt.Print(string(printed))
	os.Exit(0)
}

// pretended is a plugin for these tests, in a kubeconfig.
type pretended struct {
	t       testing.TB
	log     string
	printed string
}

func pretend(t testing.TB) *pretended {
	dir := t.TempDir()
	return &pretended{t, filepath.Join(dir, "log"), filepath.Join(dir, "printed")}
}

func (p *pretended) prints(text string) {
	p.t.Helper()
	if err := os.WriteFile(p.printed, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// gives makes it print an ExecCredential.
func (p *pretended) gives(status map[string]any) {
	p.t.Helper()
	text, err := json.Marshal(map[string]any{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status})
	if err != nil {
		p.t.Fatal(err)
	}
	p.prints(string(text))
}

// ran returns the input of each run.
func (p *pretended) ran() []string {
	p.t.Helper()
	data, err := os.ReadFile(p.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")[:strings.Count(string(data), "\n")]
}

func (p *pretended) config() map[string]any {
	p.t.Helper()
	program, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	return map[string]any{"apiVersion": "client.authentication.k8s.io/v1", "command": program, "interactiveMode": "IfAvailable",
		"env": []any{map[string]any{"name": "NEBULA_TEST_PLUGIN", "value": p.log}, map[string]any{"name": "NEBULA_TEST_PRINTED", "value": p.printed}}}
}

// against returns a configuration for a server, with this plugin.
func (p *pretended) against(server *httptest.Server, more map[string]any) Config {
	p.t.Helper()
	exec := p.config()
	for key, value := range more {
		exec[key] = value
	}
	cluster := map[string]any{"server": server.URL, "certificate-authority-data": authority(server),
		"extensions": []any{map[string]any{"name": "client.authentication.k8s.io/exec", "extension": map[string]any{"audience": "x"}}}}
	text, err := json.Marshal(map[string]any{"current-context": "c",
		"contexts": []any{map[string]any{"name": "c", "context": map[string]any{"cluster": "k", "user": "u"}}},
		"clusters": []any{map[string]any{"name": "k", "cluster": cluster}},
		"users":    []any{map[string]any{"name": "u", "user": map[string]any{"exec": exec}}}})
	if err != nil {
		p.t.Fatal(err)
	}
	c := DefaultConfigIn(func(string) string { return "" })
	c.KubeconfigPath = filepath.Join(write(p.t, map[string]string{"config": string(text)}), "config")
	return c
}

// authority returns the authority of a server, in PEM; nil if it has no TLS.
func authority(server *httptest.Server) []byte {
	if server.TLS == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

// guarded is a server that knows one token.
func guarded(t testing.TB, token *atomic.Value) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token.Load().(string) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"kind":"Status","reason":"NotFound","details":{"kind":"secrets"}}`)
	}))
	t.Cleanup(server.Close)
	return server
}

type movedClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *movedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *movedClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (*movedClock) Random() float64                                  { return 0.5 }
func (*movedClock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// opened is a provider with access to its driver.
type opened struct {
	nebula.Provider
	nebula.Connector
	driver *driver
}

func unopened(t testing.TB, c Config, options ...provider.Option) opened {
	t.Helper()
	o := provider.NewOptions(options...)
	d, err := newDriver(c, o)
	if err != nil {
		t.Fatal(err)
	}
	p := provider.New(d, c.policy(), o)
	return opened{p, p.(nebula.Connector), d}
}

func connected(t testing.TB, c Config, options ...provider.Option) opened {
	t.Helper()
	p := unopened(t, c, options...)
	if err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// A plugin runs once for many callers, and again when its token has expired or is
// refused. It does not run again because other calls were refused with an older
// token.
func TestPlugin(t *testing.T) {
	t.Setenv("NEBULA_PASSPHRASE", "canary")
	var token atomic.Value
	token.Store("one")
	server := guarded(t, &token)
	plugin := pretend(t)
	clock := &movedClock{now: time.Now()}
	plugin.gives(map[string]any{"token": "one", "expirationTimestamp": clock.Now().Add(time.Hour)})
	c := plugin.against(server, map[string]any{"provideClusterInfo": true})
	p := connected(t, c, provider.WithClock(clock))
	name, _ := nebula.ID("x").Name()
	asks := func(want nebula.Kind, runs int) {
		t.Helper()
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if _, err := p.Retrieve(t.Context(), name); nebula.KindOf(err) != want {
					t.Errorf("got %v, want %s", err, want)
				}
			})
		}
		group.Wait()
		if n := len(plugin.ran()); n != runs {
			t.Errorf("the plugin ran %d times, want %d", n, runs)
		}
	}
	asks(nebula.ErrNotFound, 1)
	var told struct {
		Spec struct {
			Interactive bool
			Cluster     struct {
				Server string
				Config map[string]string
			}
		}
	}
	if err := json.Unmarshal([]byte(plugin.ran()[0]), &told); err != nil || told.Spec.Interactive ||
		told.Spec.Cluster.Server != server.URL || told.Spec.Cluster.Config["audience"] != "x" {
		t.Errorf("its input is %s, %v", plugin.ran()[0], err)
	}
	clock.move(2 * time.Hour)
	plugin.gives(map[string]any{"token": "one"})
	asks(nebula.ErrNotFound, 2)
	plugin.gives(map[string]any{"token": "two"})
	token.Store("two")
	if _, err := p.Retrieve(t.Context(), name); nebula.KindOf(err) != nebula.ErrNotFound {
		t.Errorf("after a refusal: %v", err)
	}
	asks(nebula.ErrNotFound, 3)
	token.Store("three") // the plugin does not know it
	if _, err := p.Retrieve(t.Context(), name); nebula.KindOf(err) != nebula.ErrUnauthenticated {
		t.Errorf("refused for good: %v", err)
	}
	if n := len(plugin.ran()); n != 4 {
		t.Errorf("the plugin ran %d times, want 4", n)
	}
}

// The client sends the certificate of the plugin, and the new one when the plugin
// gives a new one.
func TestPluginCertificate(t *testing.T) {
	plugin := pretend(t)
	certificate, key := keyPair(t)
	plugin.gives(map[string]any{"clientCertificateData": string(certificate), "clientKeyData": string(key)})
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	p := connected(t, plugin.against(server, nil))
	shown, err := p.driver.access.tls.GetClientCertificate(new(tls.CertificateRequestInfo))
	pair, _ := tls.X509KeyPair(certificate, key)
	if err != nil || string(shown.Certificate[0]) != string(pair.Certificate[0]) {
		t.Errorf("%v", err)
	}
	first, err := p.driver.access.credential.authorization(t.Context())
	if first.header != "" || err != nil {
		t.Errorf("%q, %v", first.header, err)
	}
	certificate, key = keyPair(t)
	plugin.gives(map[string]any{"clientCertificateData": string(certificate), "clientKeyData": string(key)})
	second, err := p.driver.access.credential.replace(t.Context(), first)
	if err != nil {
		t.Error(err)
	}
	if again, err := p.driver.access.credential.replace(t.Context(), first); err != nil || again != second || len(plugin.ran()) != 2 {
		t.Errorf("a refusal of an older certificate: %d runs, %v", len(plugin.ran()), err)
	}
	if _, err := p.driver.access.credential.replace(t.Context(), second); !errors.Is(err, errNoOther) {
		t.Errorf("a refusal of the same certificate: %v", err)
	}
}

// The error says what is wrong with a plugin, and shows nothing that it printed.
func TestPluginFails(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	const head = `{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential"`
	for printed, want := range map[string]string{
		"canary":               "printed no ExecCredential",
		`{"kind":"Secret"}`:    "printed no ExecCredential",
		head + `}`:             "without a status",
		head + `,"status":{}}`: "neither a token nor a certificate",
		head + `,"status":{"token":"canary canary"}}`:                                               "characters that no token has",
		head + `,"status":{"token":"x","clientCertificateData":"canary","clientKeyData":"canary"}}`: "do not make a pair",
		strings.Replace(head, "/v1", "/v1beta1", 1) + `,"status":{"token":"x"}}`:                    "another apiVersion",
		"endless": "printed more than",
	} {
		plugin := pretend(t)
		plugin.prints(printed)
		p := unopened(t, plugin.against(server, nil))
		err := p.Connect(t.Context())
		if nebula.KindOf(err) != nebula.ErrUnauthenticated || strings.Contains(fmt.Sprint(err), "canary") ||
			!strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%.40q: %v, want %q", printed, err, want)
		}
		if p.State() != nebula.StateConfigured {
			t.Errorf("%.40q: the provider is %v", printed, p.State())
		}
	}
	plugin := pretend(t) // prints nothing: it has no file
	p := unopened(t, plugin.against(server, nil))
	if err := p.Connect(t.Context()); !strings.Contains(fmt.Sprint(err), "ended with code 5") {
		t.Error(err)
	}
	p = unopened(t, plugin.against(server, map[string]any{"command": "no-such-plugin", "installHint": "see example.com\x1b"}))
	err := p.Connect(t.Context())
	var e *nebula.Error
	if !errors.As(err, &e) || e.Kind != nebula.ErrUnauthenticated || !strings.Contains(e.Message, "not installed") ||
		!strings.HasSuffix(e.Hint, "says: see example.com?") {
		t.Errorf("%v, %q", err, e.Hint)
	}
}

// If a plugin cannot be run, the error says why.
func TestPluginNotExecutable(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // its files have no such bit
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	dir := write(t, map[string]string{"plugin": "#!/bin/sh\n", "garbage": "\x00canary"})
	if err := os.Chmod(filepath.Join(dir, "plugin"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string][2]string{
		"plugin":  {"is not executable", "chmod +x"},
		"garbage": {"failed: exec format error", ""},
	} {
		p := unopened(t, pretend(t).against(server, map[string]any{"command": filepath.Join(dir, file)}))
		err := p.Connect(t.Context())
		var e *nebula.Error
		if !errors.As(err, &e) || e.Kind != nebula.ErrUnauthenticated || !strings.Contains(e.Message, want[0]) || !strings.Contains(e.Hint, want[1]) {
			t.Errorf("%s: %v, %q", file, err, want)
		}
	}
}

// The token file of a pod is read for each request. If its token is refused, the file
// is read again, once, because the token may have been exchanged in the meantime.
func TestTokenFile(t *testing.T) {
	var token atomic.Value
	token.Store("one")
	var calls atomic.Int32
	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	exchange := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if r.Header.Get("Authorization") != "Bearer "+token.Load().(string) {
			exchange(token.Load().(string)) // it comes too late for this request
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"kind":"Status","reason":"NotFound","details":{"kind":"secrets"}}`)
	}))
	defer server.Close()
	exchange("one\n")
	c := DefaultConfigIn(func(string) string { return "" })
	c.KubeconfigPath = filepath.Join(write(t, map[string]string{"config": minimal("server: "+server.URL, "tokenFile: "+path)}), "config")
	p := connected(t, c)
	name, _ := nebula.ID("x").Name()
	for _, test := range []struct {
		next  string
		calls int32
	}{{"one", 1}, {"two", 2}, {"two", 1}} {
		token.Store(test.next)
		calls.Store(0)
		if _, err := p.Retrieve(t.Context(), name); nebula.KindOf(err) != nebula.ErrNotFound || calls.Load() != test.calls {
			t.Errorf("token %s: %v after %d calls, want %d", test.next, err, calls.Load(), test.calls)
		}
	}
	for text, want := range map[string]string{"": "is empty", "a b": "no token has"} {
		exchange(text)
		if _, err := p.Retrieve(t.Context(), name); nebula.KindOf(err) != nebula.ErrUnauthenticated || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Retrieve(t.Context(), name); nebula.KindOf(err) != nebula.ErrUnauthenticated || !strings.Contains(fmt.Sprint(err), "token file") {
		t.Errorf("without the file: %v", err)
	}
}

// Files of a certificate are read again for each connection, and half of a new pair
// is not used.
func TestCertificateFiles(t *testing.T) {
	first, firstKey := keyPair(t)
	second, secondKey := keyPair(t)
	dir := write(t, map[string]string{"cert": string(first), "key": string(firstKey),
		"config": minimal("server: https://k.example.com", "client-certificate: cert\nclient-key: key")})
	c := DefaultConfigIn(func(string) string { return "" })
	c.KubeconfigPath = filepath.Join(dir, "config")
	a, err := c.access()
	if err != nil {
		t.Fatal(err)
	}
	shows := func(want []byte) {
		t.Helper()
		pair, _ := tls.X509KeyPair(want, map[bool][]byte{true: firstKey, false: secondKey}[string(want) == string(first)])
		if got := clientPair(t, a.tls); string(got) != string(pair.Certificate[0]) {
			t.Error("another certificate is sent")
		}
	}
	shows(first)
	if err := os.WriteFile(filepath.Join(dir, "cert"), second, 0o600); err != nil {
		t.Fatal(err)
	}
	shows(first)
	if err := os.WriteFile(filepath.Join(dir, "key"), secondKey, 0o600); err != nil {
		t.Fatal(err)
	}
	shows(second)
	if runtime.GOOS != "windows" { // there an open file cannot be removed
		if err := os.Remove(filepath.Join(dir, "key")); err != nil {
			t.Fatal(err)
		}
		shows(second)
	}
}

// watched is a server of HTTP/2 that knows one certificate. It holds a request for
// the Secret of "slow" until it may go on.
type watched struct {
	*httptest.Server
	known atomic.Value // the certificate, in DER
	came  chan struct{}
	goOn  chan struct{}
}

func watch(t *testing.T) *watched {
	w := &watched{came: make(chan struct{}), goOn: make(chan struct{})}
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(response http.ResponseWriter, r *http.Request) {
		if string(r.TLS.PeerCertificates[0].Raw) != w.known.Load().(string) {
			response.WriteHeader(http.StatusUnauthorized)
			return
		}
		if strings.HasSuffix(r.URL.Path, "slow") {
			close(w.came)
			<-w.goOn
		}
		response.WriteHeader(http.StatusNotFound)
		fmt.Fprint(response, `{"kind":"Status","reason":"NotFound","details":{"kind":"secrets"}}`)
	}))
	w.EnableHTTP2 = true
	w.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	w.StartTLS()
	t.Cleanup(w.Close)
	return w
}

// accepts makes the server know the certificate of that pair and no other.
func (w *watched) accepts(t *testing.T, certificate, key []byte) {
	t.Helper()
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	w.known.Store(string(pair.Certificate[0]))
}

// A connection that is never idle keeps its certificate. If the server refuses that,
// a new connection uses the current certificate, and no caller notices, however many
// call at once.
func TestCertificateChangesUnderLoad(t *testing.T) {
	plugin := pretend(t)
	byPlugin := func(server *httptest.Server) (Config, func(certificate, key []byte)) {
		return plugin.against(server, nil), func(certificate, key []byte) {
			plugin.gives(map[string]any{"clientCertificateData": string(certificate), "clientKeyData": string(key)})
		}
	}
	byFiles := func(server *httptest.Server) (Config, func(certificate, key []byte)) {
		dir := write(t, map[string]string{"ca": string(authority(server)),
			"config": minimal("server: "+server.URL+"\ncertificate-authority: ca", "client-certificate: cert\nclient-key: key")})
		c := DefaultConfigIn(func(string) string { return "" })
		c.KubeconfigPath = filepath.Join(dir, "config")
		return c, func(certificate, key []byte) {
			for name, data := range map[string][]byte{"cert": certificate, "key": key} {
				if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
					t.Error(err)
				}
			}
		}
	}
	for what, by := range map[string]func(*httptest.Server) (Config, func(certificate, key []byte)){"plugin": byPlugin, "files": byFiles} {
		t.Run(what, func(t *testing.T) {
			server := watch(t)
			c, exchange := by(server.Server)
			certificate, key := keyPair(t)
			exchange(certificate, key)
			server.accepts(t, certificate, key)
			p := connected(t, c)
			var group sync.WaitGroup
			asks := func(id nebula.ID) {
				name, _ := id.Name()
				if _, err := p.Retrieve(t.Context(), name); nebula.KindOf(err) != nebula.ErrNotFound {
					t.Errorf("%s: %v", id, err)
				}
			}
			group.Go(func() { asks("slow") })
			<-server.came
			certificate, key = keyPair(t)
			exchange(certificate, key)
			server.accepts(t, certificate, key)
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() { asks("x") })
			}
			all.Wait()
			close(server.goOn)
			group.Wait()
		})
	}
	if n := len(plugin.ran()); n != 2 {
		t.Errorf("the plugin ran %d times, want 2", n)
	}
}

// If nobody waits for a plugin any more, it ends with the provider, and does not run
// again.
func TestPluginEndsWithTheProvider(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	plugin := pretend(t)
	plugin.prints("waits")
	p := unopened(t, plugin.against(server, nil))
	ctx, cancel := context.WithCancel(t.Context())
	connecting := make(chan error)
	go func() { connecting <- p.Connect(ctx) }()
	for len(plugin.ran()) == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	if err := <-connecting; nebula.KindOf(err) != nebula.ErrInterrupted {
		t.Errorf("connect: %v", err)
	}
	if err := p.Close(); err != nil { // Close ends the plugin, which would take minutes, and waits for it
		t.Fatal(err)
	}
	if _, err := p.driver.access.credential.authorization(t.Context()); err == nil || len(plugin.ran()) != 1 {
		t.Errorf("after closing it ran %d times, %v", len(plugin.ran()), err)
	}
}
