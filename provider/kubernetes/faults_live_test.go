package kubernetes_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/faultproxy"
	"github.com/nebula-credential/nebula/internal/testing/histories"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
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

// kubeconfigFor writes a kubeconfig for a server, with more fields of cluster and
// user.
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

// A change that was given up arrives after later ones that were acknowledged. It then
// does nothing.
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
		change func(ctx context.Context, v nebula.Version) error // v is the version of the first record; "" if there is none
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
			// The next store is of the same object, over what it may have become.
			if _, err := store(t.Context(), later, nebula.Precondition{}); err != nil {
				t.Fatal(err)
			}
			if n := proxy.Release(); n != 1 {
				t.Fatalf("%d requests arrive late, want one", n)
			}
			got, err := p.Retrieve(t.Context(), name)
			if err != nil || string(got.Envelope.Bytes()) != string(later.Bytes()) {
				t.Errorf("an acknowledged write is gone: %v", err)
			}
		})
	}
}

// A router that forgot a connection drops its requests without an answer. The
// provider notices, and repeats the call on another connection.
func TestLiveDeadConnection(t *testing.T) {
	s := livetest.Kubernetes(t)
	tunnel := faultproxy.StartTunnel(t, hostOf(t, s.Address))
	c := liveConfig(t, s, s.Namespace(t))
	c.KubeconfigPath = kubeconfigFor(t, "https://"+tunnel.Address(), s.CA, map[string]any{}, map[string]any{"token": s.AdminToken})
	p := open(t, c)
	name, e := record(t, "x", "1", nil)
	v, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n := tunnel.Drop(); n != 1 {
		t.Fatalf("%d connections are open, want one", n)
	}
	_, next := record(t, "x", "2", nil)
	var both sync.WaitGroup
	both.Go(func() {
		if _, err := p.Retrieve(t.Context(), name); err != nil {
			t.Error(err)
		}
	})
	both.Go(func() {
		if _, err := p.Store(t.Context(), name, next, nebula.StoreOptions{Precondition: nebula.IfVersion(v)}); err != nil {
			t.Error(err)
		}
	})
	both.Wait()
	if n := tunnel.Connections(); n < 2 || n > 3 { // both calls may dial
		t.Errorf("%d connections were made, want one or two more", n)
	}
}

// Whatever the network does to the requests, the result of each operation is what the
// server has.
func TestLiveFaults(t *testing.T) {
	s := livetest.Kubernetes(t)
	c, proxy := faulty(t, s)
	c.Retry.BaseDelayMS, c.Retry.MaxDelayMS, c.Retry.MaxRetries = 10, 100, 10
	p := open(t, c)
	name, e := record(t, "x", "", nil)
	if _, err := p.Store(t.Context(), name, e, nebula.StoreOptions{}); err != nil { // the server has answered once
		t.Fatal(err)
	}
	for _, fault := range []faultproxy.Fault{faultproxy.ResetBefore(), faultproxy.ResetAfter(), faultproxy.Cut(),
		faultproxy.Answer(503, ""), faultproxy.Answer(429, "0"), faultproxy.Answer(503, "soon"), faultproxy.Answer(502, "").WithBody("text/html", "<html>")} {
		if err := remove(t.Context(), p, name); err != nil {
			t.Fatal(err)
		}
		before := proxy.Count(fault.Kind)
		end := proxy.Add(faultproxy.Rule{Probability: 0.25, Fault: fault})
		for i := range 4 {
			storesAndDeletes(t, p, fmt.Sprint(fault.Kind, fault.Status, i))
		}
		end()
		if proxy.Count(fault.Kind) == before {
			t.Errorf("no call met %s", fault.Kind)
		}
	}
}

// storesAndDeletes makes a credential, replaces it and deletes it, each on condition
// that nobody else changed it. The credential must not exist before.
func storesAndDeletes(t *testing.T, p nebula.Provider, value string) {
	t.Helper()
	condition := nebula.IfAbsent()
	for i := range 3 {
		name, e := record(t, "x", fmt.Sprint(value, i), map[string]string{"i": fmt.Sprint(i)})
		v, err := p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: condition})
		if err != nil {
			t.Fatalf("%s: store %d: %v", value, i, err)
		}
		condition = nebula.IfVersion(v)
		got, err := p.Retrieve(t.Context(), name)
		if err != nil || got.Version != v || string(got.Envelope.Bytes()) != string(e.Bytes()) {
			t.Fatalf("%s: version %q became %q, %v", value, v, got.Version, err)
		}
	}
	name, _ := record(t, "x", "", nil)
	if existed, err := p.Delete(t.Context(), name, condition); !existed || err != nil {
		t.Fatalf("%s: delete: %v, %v", value, existed, err)
	}
	if found, err := p.Exists(t.Context(), name); found || err != nil {
		t.Fatalf("%s: it is still there: %v", value, err)
	}
}

// Several callers add one to a counter, each on condition of what it read, on a
// network that loses requests and answers. An acknowledged addition is counted, and a
// refused one is not, unless the error says that the outcome is unclear.
func TestLiveCounterOnFaultyNetwork(t *testing.T) {
	s := livetest.Kubernetes(t)
	c, proxy := faulty(t, s)
	c.Retry.BaseDelayMS, c.Retry.MaxDelayMS, c.Retry.MaxRetries = 10, 100, 10
	first := open(t, c)
	name, zero := record(t, "counter", "v", map[string]string{"n": "0"})
	if _, err := first.Store(t.Context(), name, zero, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, fault := range []faultproxy.Fault{faultproxy.ResetBefore(), faultproxy.ResetAfter(), faultproxy.Cut()} {
		proxy.Add(faultproxy.Rule{Method: http.MethodPatch, Probability: 0.1, Fault: fault})
	}
	var added, unknown atomic.Int32
	var writers sync.WaitGroup
	for range 4 {
		p := open(t, c)
		writers.Go(func() {
			for range 20 {
				got, err := p.Retrieve(t.Context(), name)
				if err != nil {
					t.Error(err)
					return
				}
				n, _ := strconv.Atoi(got.Envelope.Metadata().Tags["n"])
				_, next := record(t, "counter", "v", map[string]string{"n": strconv.Itoa(n + 1)})
				switch _, err = p.Store(t.Context(), name, next, nebula.StoreOptions{Precondition: nebula.IfVersion(got.Version)}); {
				case err == nil:
					added.Add(1)
				case errors.Is(err, provider.ErrUnclear):
					wants(t, err, nebula.ErrConflict, "is not known, since its answer was lost")
					unknown.Add(1)
				case !errors.Is(err, nebula.ErrConflict):
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	proxy.Clear()
	got, err := first.Retrieve(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(got.Envelope.Metadata().Tags["n"])
	if low, high := int(added.Load()), int(added.Load()+unknown.Load()); n < low || n > high {
		t.Errorf("the counter is %d after %d to %d additions", n, low, high)
	}
	t.Logf("%d additions, %d of which nobody knows, %d requests went wrong", added.Load(), unknown.Load(), proxy.Faults())
}

// One writer writes without a condition, and loses answers. Others replace what they
// have read. Each record is there once: none comes back after another one has
// replaced it.
func TestLiveWrittenOnce(t *testing.T) {
	s := livetest.Kubernetes(t)
	c, proxy := faulty(t, s)
	c.Retry.BaseDelayMS, c.Retry.MaxDelayMS, c.Retry.MaxRetries = 10, 100, 10
	watcher := liveConfig(t, s, c.Namespace) // around the proxy
	first := open(t, c)
	name, zero := record(t, "x", "first", nil)
	if _, err := first.Store(t.Context(), name, zero, nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	proxy.Add(faultproxy.Rule{Method: http.MethodPatch, Probability: 0.3, Fault: faultproxy.ResetAfter()})
	ended, end := context.WithCancel(t.Context())
	var writers, reader sync.WaitGroup
	var seen []string
	reader.Go(func() {
		p := open(t, watcher)
		for ended.Err() == nil {
			got, err := p.Retrieve(t.Context(), name)
			if err != nil {
				t.Error(err)
				return
			}
			if value := got.Envelope.Metadata().Tags["value"]; len(seen) == 0 || seen[len(seen)-1] != value {
				seen = append(seen, value)
			}
		}
	})
	for i := range 4 {
		p := open(t, c)
		writers.Go(func() {
			for j := range 20 {
				value := fmt.Sprint(i, " ", j)
				got, err := p.Retrieve(t.Context(), name)
				if err != nil {
					t.Error(err)
					return
				}
				_, e := record(t, "x", value, map[string]string{"value": value})
				options := nebula.StoreOptions{Precondition: nebula.IfVersion(got.Version), Previous: got.Envelope}
				if i == 0 {
					options = nebula.StoreOptions{}
				}
				if _, err := p.Store(t.Context(), name, e, options); err != nil && !errors.Is(err, nebula.ErrConflict) {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	end()
	reader.Wait()
	came := make(map[string]bool)
	for _, value := range seen {
		if came[value] {
			t.Errorf("%q came back", value)
		}
		came[value] = true
	}
	if proxy.Faults() == 0 || len(seen) < 2 {
		t.Errorf("%d requests went wrong, %d records were seen", proxy.Faults(), len(seen))
	}
}

// Sixteen processes write one credential at once, each once. None is lost, their
// histories have an order, and each loser needs two calls.
func TestLiveSixteenWriters(t *testing.T) {
	c, proxy := faulty(t, livetest.Kubernetes(t))
	name, _ := record(t, "contested", "", nil)
	writers := make([]nebula.Provider, 16)
	for i := range writers {
		writers[i] = open(t, c)
	}
	before := len(proxy.Events())
	h := histories.EachWritesOnce(t, name, writers)
	calls := len(proxy.Events()) - before
	h.Verify(t)
	if done := h.Count(histories.Put, histories.Done); done != 1+len(writers) {
		t.Errorf("%d writes were acknowledged, want %d", done, 1+len(writers))
	}
	if limit := 3 * len(writers) * (len(writers) + 1) / 2; calls > limit { // if every round has one winner
		t.Errorf("%d calls, want at most %d", calls, limit)
	}
	t.Logf("%d writers: %d calls", len(writers), calls)
}
